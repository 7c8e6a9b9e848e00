// What is typed while an answer is on its way stays: the answer only knows what was in the form before. And
// what was opened stays open. Requests wait for each other, and none is lost: one that waited says what the
// form says when it leaves, since the answer before may have changed it.
// Without this script nothing is lost either: the form is then sent by its buttons alone.
(function () {
  "use strict";

  let edits = [];
  let opened = [];
  let swaps = 0;
  let answered = "";

  function content(form) {
    return new URLSearchParams(new FormData(form));
  }

  document.addEventListener("input", function (event) {
    if (event.target.id && event.target.form) edits.push([event.target.id, event.target.value]);
  });

  document.addEventListener("htmx:config:request", function (event) {
    event.detail.ctx.swapsBefore = swaps;
  });

  document.addEventListener("htmx:before:request", function (event) {
    const ctx = event.detail.ctx;
    const form = document.getElementById("draft");
    if (!form || ctx.sourceElement !== form) return;
    const pressed = ctx.request.submitter;
    const said = content(form);
    if (!pressed && said.toString() === answered) {
      event.preventDefault();  // a field was left, and a button has sent what it says already
      return;
    }
    if (pressed && ctx.swapsBefore !== swaps && pressed.value.startsWith("remove-")) {
      event.preventDefault();  // what stands at that place now is not what was meant
      return;
    }
    ctx.said = said.toString();
    if (pressed && pressed.name) said.append(pressed.name, pressed.value);
    ctx.request.body = said;
    edits = [];
  });

  document.addEventListener("htmx:before:swap", function () {
    opened = Array.from(document.querySelectorAll("details[open][id]"), function (each) { return each.id; });
  });

  document.addEventListener("htmx:after:swap", function (event) {
    swaps += 1;
    answered = event.detail.ctx.said || "";
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
