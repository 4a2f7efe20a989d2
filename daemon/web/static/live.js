// Parts of the page with an id are fetched again every few seconds, and replaced where they differ.
"use strict";
(() => {
  const period = Number(document.body.dataset.live) * 1000;
  if (!period) return;

  // What a person is in the middle of is left alone.
  const inUse = (part) => {
    const chosen = document.getSelection();
    const marked = chosen && !chosen.isCollapsed && part.contains(chosen.anchorNode);
    return marked || part.matches(":focus-within") || part.querySelector("details[open]");
  };

  const renew = async () => {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "error" });
    if (!answer.ok) throw new Error(String(answer.status));
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of fresh.querySelectorAll("main [id], [data-stamp]")) {
      const old = part.id ? document.getElementById(part.id) : document.querySelector("[data-stamp]");
      if (!old || !/^(SECTION|DL|DIV|P|SPAN)$/.test(part.tagName)) continue;
      if (old.outerHTML !== part.outerHTML && !inUse(old)) {
        if (part.id === "told") old.textContent = part.textContent;
        else old.replaceWith(document.adoptNode(part));
      }
    }
    document.body.classList.remove("stale");
  };

  const tick = async () => {
    if (!document.hidden) {
      try {
        await renew();
      } catch {
        document.body.classList.add("stale");
      }
    }
    setTimeout(tick, period);
  };
  setTimeout(tick, period);
})();
