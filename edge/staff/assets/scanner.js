// Hand scanners type: a burst of keys and Enter; a counter's scanner is told of by live.js. A scan goes to the page's
// scan field, wherever the focus is, or else to the price check. A field that a person is typing in keeps what it is given.

const GAP_MS = 60;       // people do not type faster; slow Bluetooth scanners stay below
const LENGTH_MIN = 4;    // shorter bursts are no code

let keys = "";
let last = 0;
let before = "";         // what the field held in which the burst began to arrive

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.timeStamp - last > GAP_MS) keys = "";  // when the key went down: a busy page hears of it later
  last = event.timeStamp;
  if (event.key.length === 1) {
    if (!keys) before = document.activeElement?.value ?? "";
    keys += event.key;
  } else if (event.key === "Enter") {
    const code = keys;
    keys = "";
    if (code.length >= shortest()) scanned(code, event);
  }
}, true);

// Signs of staging places may be as short as "A1"; a page that expects them says so.
function shortest() {
  return Number(document.querySelector("[data-scan]")?.dataset.scanMin ?? LENGTH_MIN);
}

function scanned(code, event) {
  const focused = document.activeElement;
  const typing = focused && focused.matches("input, textarea, select");
  if (typing && (focused.hasAttribute("data-scan") || focused.hasAttribute("data-keeps-scans"))) return;
  if (typing && focused.hasAttribute("data-holds-scans")) {  // the code stays there until a button says what it is for
    event.preventDefault();
    return;
  }
  const field = document.querySelector("[data-scan]");
  if (typing && !field) return;
  event.preventDefault();
  event.stopPropagation();
  if (typing) focused.value = before;
  take(code, field);
}

function take(code, field) {
  if (!field) {
    location.assign(`/staff/price?code=${encodeURIComponent(code)}`);
    return;
  }
  field.value = code;
  const next = field.dataset.scan && document.getElementById(field.dataset.scan);
  if (next) next.focus();
  else field.form.requestSubmit();
}

// Nothing was typed: a field with the focus is given what a hand scanner would have typed into it, Enter included.
document.addEventListener("scan", (event) => {
  const focused = document.activeElement;
  const typing = focused && focused.matches("input, textarea, select");
  if (typing && focused.hasAttribute("data-keeps-scans")) {
    const list = focused.matches("textarea");  // a list goes on with the next line
    focused.setRangeText(list ? `${event.detail}\n` : event.detail, focused.selectionStart, focused.selectionEnd, "end");
    if (!list) focused.form.requestSubmit();
    return;
  }
  const field = typing && focused.hasAttribute("data-scan") ? focused : document.querySelector("[data-scan]");
  if (typing && !field) return;
  take(event.detail, field);
});
