// What is typed while an answer is on its way stays: the answer only knows what was in the form before.
// Without this script nothing is lost either: the form is then sent by its buttons alone.
(function () {
  "use strict";

  let edits = [];

  document.addEventListener("input", function (event) {
    if (event.target.id && event.target.form) edits.push([event.target.id, event.target.value]);
  });

  document.addEventListener("htmx:before:request", function () { edits = []; });

  document.addEventListener("htmx:after:swap", function () {
    edits.forEach(function (edit) {
      const field = document.getElementById(edit[0]);
      if (field && field.value !== edit[1]) field.value = edit[1];
    });
  });
})();
