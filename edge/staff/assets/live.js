// Keeps the open page as the store is: follows /staff/events and fetches again the pieces that changed.
// Without it the page works all the same, by reloading.

const POLL_MS = 5000;        // how often the page asks when no stream can be had
const REOPEN_MS = 30000;     // how often it then tries for a stream again
const TILES_PER_FETCH = 24;  // labels asked for in one fetch

const body = document.body;
const state = document.getElementById("live");
const said = document.getElementById("said");  // what changed, for whoever has the page read aloud
let stream = null;
let polling = 0;
let version = body.dataset.live;
const dirty = new Set();
const held = new Set();      // dirty too, but somebody is typing or has a finger there
let pressed = null;          // where the finger is down: what it presses must not go away under it
let fetching = false;

function say(live) {
  if (!state) return;
  state.classList.toggle("lost", !live);
  if (live) {
    state.textContent = state.dataset.on;
  } else if (!state.dataset.since) {
    const time = new Date().toLocaleTimeString(document.documentElement.lang, {
      hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: body.dataset.zone});
    state.textContent = `${state.dataset.off} ${time}`;
  }
  state.dataset.since = live ? "" : "lost";
}

function pieces() { return [...document.querySelectorAll("[data-fragment]")]; }
function tiles() { return [...document.querySelectorAll("[data-label]")]; }

function mark(topics, labels) {
  for (const piece of pieces()) {
    const wanted = piece.dataset.topics.split(" ");
    const about = piece.dataset.about;
    const concerned = topics === null || topics.some((topic) => wanted.includes(topic) &&
      !(topic === "label" && about && labels && !labels.includes(about)));
    if (concerned) dirty.add(piece.id);
  }
  if (topics === null || topics.includes("label") || topics.includes("prices")) {
    for (const tile of tiles()) if (!labels || labels.includes(tile.dataset.label)) dirty.add(tile.id);
  }
  refresh();
}

async function refresh() {
  if (fetching) return;
  fetching = true;
  try {
    while (dirty.size) {
      const ids = [...dirty];
      dirty.clear();
      const present = ids.map((id) => document.getElementById(id)).filter((element) => element);
      for (const element of present) if (isUsed(element)) held.add(element.id);
      const elements = present.filter((element) => !held.has(element.id));
      for (const piece of elements.filter((element) => element.dataset.fragment)) await swap(piece.dataset.fragment);
      const labels = elements.filter((element) => element.dataset.label).map((element) => element.dataset.label);
      for (let start = 0; start < labels.length; start += TILES_PER_FETCH) {
        const query = labels.slice(start, start + TILES_PER_FETCH).map((label) => `label=${encodeURIComponent(label)}`);
        await swap(`/staff/fragments/tiles?${query.join("&")}`);
      }
    }
  } finally {
    fetching = false;
  }
}

// Somebody is typing or pressing there: it is fetched again when that is over.
function isUsed(element) {
  if (pressed && element.contains(pressed)) return true;
  const focused = document.activeElement;
  return focused && element.contains(focused) && focused.matches("input, select, textarea");
}

async function swap(address) {
  let answer;
  try {
    answer = await fetch(address, {headers: {Accept: "text/html"}, redirect: "error", credentials: "same-origin"});
  } catch {
    return;
  }
  if (answer.status === 401) { location.reload(); return; }
  if (!answer.ok) return;
  const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const fresh of parsed.querySelectorAll("[data-fragment], [data-label]")) replace(fresh);
}

function replace(fresh) {
  const old = document.getElementById(fresh.id);
  if (!old) return;
  if (isUsed(old)) { held.add(old.id); return; }
  old.classList.remove("arrived");
  if (old.isEqualNode(fresh)) return;
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const open = [...old.querySelectorAll("details[open][id]")].map((details) => details.id);
  const taken = document.importNode(fresh, true);
  old.replaceWith(taken);
  if (taken.dataset.say && taken.dataset.say !== old.dataset.say) said.textContent = taken.dataset.say;
  if (taken.dataset.label) taken.classList.add("arrived");
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  if (focused) refocus(taken, focused);
}

function refocus(taken, focused) {
  const same = focused.id ? document.getElementById(focused.id)
    : [...taken.querySelectorAll("a")].find((each) => each.getAttribute("href") === focused.getAttribute("href"));
  (same || document.getElementById("main"))?.focus({preventScroll: true});
}

function follow() {
  if (stream || document.hidden) return;
  stream = new EventSource(`/staff/events?since=${encodeURIComponent(version)}`);
  stream.onopen = () => { say(true); stopPolling(); };
  stream.addEventListener("changed", (event) => {
    version = event.lastEventId;
    const {topics, labels} = JSON.parse(event.data);
    mark(topics, labels);
  });
  stream.addEventListener("scan", (event) => {
    document.dispatchEvent(new CustomEvent("scan", {detail: JSON.parse(event.data).code}));
  });
  stream.addEventListener("all", () => mark(null, null));
  stream.onerror = () => {
    say(false);
    if (stream.readyState === EventSource.CLOSED) { leave(); poll(); }
  };
}

function leave() {
  stream?.close();
  stream = null;
}

// No stream to be had (too many pages, signed out, a proxy): ask instead, and try again later.
function poll() {
  if (polling) return;
  mark(null, null);
  const since = performance.now();
  polling = setInterval(() => {
    if (performance.now() - since > REOPEN_MS) { stopPolling(); follow(); return; }
    mark(null, null);
  }, POLL_MS);
}

function stopPolling() {
  clearInterval(polling);
  polling = 0;
}

// One stream per page that somebody looks at: a browser has only six connections to the box.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) { leave(); stopPolling(); } else { follow(); }
});
window.addEventListener("pagehide", leave);
window.addEventListener("pageshow", (event) => { if (event.persisted) { mark(null, null); follow(); } });
function release() {
  setTimeout(() => {  // the focus has not arrived at its new place yet, the click has not been heard
    for (const id of held) dirty.add(id);
    held.clear();
    refresh();
  });
}
document.addEventListener("focusout", release);
document.addEventListener("pointerdown", (event) => { pressed = event.target; });
for (const end of ["pointerup", "pointercancel"]) {
  document.addEventListener(end, () => setTimeout(() => { pressed = null; release(); }));
}

// A form sent twice counts once on the box; the button says that the first is on its way.
document.addEventListener("submit", (event) => {
  for (const button of event.target.querySelectorAll("button")) button.setAttribute("aria-busy", "true");
});

// Opened to type something: the field is ready for it.
document.addEventListener("toggle", (event) => {
  if (event.target.open) event.target.querySelector("[data-first]")?.focus();
}, true);

// What can be taken back only for a while says so no longer than that.
function fade() {
  for (const form of document.querySelectorAll("form[data-lasts-s]:not([data-fading])")) {
    form.dataset.fading = "";
    setTimeout(() => {
      if (form.contains(document.activeElement)) document.getElementById("main").focus({preventScroll: true});
      form.remove();
    }, Number(form.dataset.lastsS) * 1000);
  }
}
fade();
new MutationObserver(fade).observe(document.body, {childList: true, subtree: true});

if (body.dataset.live) follow();
