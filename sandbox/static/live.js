// Keeps the sections of the class "live" as the server has them: once a second, and after each form. All HTML is the server's.
"use strict";

const EVERY = 1000;
let forms = 0; // sent and answered so far: what was asked for before the last one is stale

function renew(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  for (const old of document.querySelectorAll(".live")) {
    const section = page.getElementById(old.id);
    if (!section) continue;
    for (const details of old.querySelectorAll("details[open][id]")) {
      const same = section.querySelector("#" + CSS.escape(details.id));
      if (same) same.open = true;
    }
    if (section.innerHTML === old.innerHTML) continue;
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    old.replaceChildren(...section.childNodes);
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }
}

async function look() {
  const sent = forms;
  try {
    if (!document.hidden) {
      const html = await (await fetch(location.href)).text();
      if (sent === forms) renew(html);
    }
  } catch {
    // The sandbox has ended, or is busy. The next look will tell.
  }
  setTimeout(look, EVERY);
}

document.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const mine = ++forms;
  const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form, event.submitter)) });
  const html = await answer.text();
  if (!answer.redirected || mine !== forms) return;
  forms++;
  if (answer.url !== location.href) history.pushState(null, "", answer.url);
  renew(html);
});

addEventListener("popstate", () => location.reload());
setTimeout(look, EVERY);
