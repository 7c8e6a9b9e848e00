// Two small things that HTML cannot do alone: copy buttons, and local time on hover.
// Without this script the pages say the same; buttons that would do nothing stay hidden.
(function () {
  "use strict";

  function prepare(root) {
    root.querySelectorAll("button.copy[hidden]").forEach(function (button) {
      button.hidden = !navigator.clipboard;
    });
    root.querySelectorAll("time[datetime]:not([title])").forEach(function (time) {
      time.title = new Date(time.dateTime).toLocaleString() + " (local time)";
    });
  }

  document.addEventListener("click", function (event) {
    const button = event.target.closest("button.copy");
    if (!button) return;
    const before = button.textContent;
    navigator.clipboard.writeText(button.dataset.copy).then(
      function () { button.textContent = "Copied"; },
      function () { button.textContent = "Could not copy"; }
    ).then(function () {
      setTimeout(function () { button.textContent = before; }, 1500);
    });
  });

  new MutationObserver(function () { prepare(document); }).observe(document.body, { childList: true, subtree: true });
  prepare(document);
})();
