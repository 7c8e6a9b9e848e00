// What is typed while an answer is on its way stays: the answer only knows what was in the form before. And
// what was opened stays open.
// Without this script nothing is lost either: the form is then sent by its buttons alone.
(function () {
  "use strict";

  let edits = [];
  let opened = [];

  document.addEventListener("input", function (event) {
    if (event.target.id && event.target.form) edits.push([event.target.id, event.target.value]);
  });

  document.addEventListener("htmx:before:request", function () { edits = []; });

  document.addEventListener("htmx:before:swap", function () {
    opened = Array.from(document.querySelectorAll("details[open][id]"), function (each) { return each.id; });
  });

  document.addEventListener("htmx:after:swap", function () {
    opened.forEach(function (id) {
      const details = document.getElementById(id);
      if (details) details.open = true;
    });
    edits.forEach(function (edit) {
      const field = document.getElementById(edit[0]);
      if (field && field.value !== edit[1]) field.value = edit[1];
    });
  });
})();
