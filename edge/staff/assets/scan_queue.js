// Scans of a form with `data-queue` wait here until the box has them: none is lost while another is on its way, or in a
// corner without radio. Each has an id of its own, so that one that is sent twice counts once. The answer is the page.

const RETRY_MS = 2000;
const KEPT_MAX = 200;        // scans that wait; more are refused aloud
const NAG_MS = 4000;         // a refusal sounds again until somebody does something

const main = document.getElementById("main");
const list = document.querySelector("form[data-queue]")?.dataset.queue ?? "";
const place = `unsent ${list}`;
let queue = load();
let sending = false;
let nagging = 0;
let audio = null;

function load() {
  try { return JSON.parse(localStorage.getItem(place)) ?? []; } catch { return []; }
}

function save() {
  try {
    if (queue.length) localStorage.setItem(place, JSON.stringify(queue)); else localStorage.removeItem(place);
  } catch { /* a browser that keeps nothing still has them in memory */ }
}

function mint() {
  return [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function count() {
  const badge = document.getElementById("unsent");
  if (!badge) return;
  badge.hidden = !queue.length;
  badge.textContent = queue.length ? `${badge.dataset.text} ${queue.length}` : "";
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form[data-queue]")) return;
  event.preventDefault();
  event.stopPropagation();
  const field = form.elements.code, code = field.value.trim();
  field.value = "";
  if (!code) return;
  if (queue.length >= KEPT_MAX) { refuse(); return; }
  queue.push({id: mint(), code});
  save();
  send();
}, true);

async function send() {
  if (sending) return;
  sending = true;
  try {
    while (queue.length && document.querySelector("form[data-queue]")?.dataset.queue === list) {
      const answer = await post(queue[0]);
      if (new URL(answer.url).pathname === "/staff/sign-in") { location.assign(answer.url); return; }
      if (answer.status >= 500) throw new Error(answer.statusText);
      queue.shift();
      save();
      show(await answer.text(), answer.url);
    }
  } catch {
    count();
    setTimeout(send, RETRY_MS);
  } finally {
    sending = false;
  }
}

function post(scan) {
  const form = document.querySelector("form[data-queue]");
  const fields = new URLSearchParams(new FormData(form));
  fields.set("code", scan.code);
  fields.set("act_id", scan.id);
  return fetch(form.action, {method: "POST", body: fields, credentials: "same-origin"});
}

function show(html, address) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  const fresh = parsed.getElementById("main");
  if (!fresh) return;
  const typed = document.querySelector("form[data-queue]")?.elements.code.value ?? "";
  const open = [...main.querySelectorAll("details[open][id]")].map((details) => details.id);
  main.replaceChildren(...fresh.childNodes);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  document.title = parsed.title;
  if (new URL(address).pathname !== location.pathname) history.replaceState(null, "", address);
  const field = document.querySelector("form[data-queue]")?.elements.code;
  if (field && typed) field.value = typed;
  count();
  const said = document.getElementById("said"), message = main.querySelector(".message");
  if (said && message) said.textContent = message.querySelector(".text").textContent;
  window.scrollTo({top: 0});
  if (!message) return;
  if (message.classList.contains("refused")) refuse(); else sound([[880, 0.09]]);
}

// Heard from across the aisle, and felt: a refusal comes again until somebody has noticed.
function refuse() {
  const once = () => { sound([[220, 0.18], [160, 0.28]]); navigator.vibrate?.([180, 90, 180]); };
  once();
  clearInterval(nagging);
  nagging = setInterval(once, NAG_MS);
}

for (const done of ["pointerdown", "keydown"]) {
  document.addEventListener(done, () => { clearInterval(nagging); nagging = 0; }, true);
}

function sound(tones) {
  try {
    audio ??= new AudioContext();
    let start = audio.currentTime;
    for (const [pitch, length] of tones) {
      const tone = audio.createOscillator(), loudness = audio.createGain();
      tone.frequency.value = pitch;
      loudness.gain.value = 0.2;
      tone.connect(loudness).connect(audio.destination);
      tone.start(start);
      tone.stop(start + length);
      start += length;
    }
  } catch { /* a browser without sound shows it all the same */ }
}

window.addEventListener("online", send);
count();
send();
