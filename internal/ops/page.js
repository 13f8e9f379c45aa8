"use strict";
const byId = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

function element(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) e.setAttribute(name, value);
  e.append(...children.map((c) => (c instanceof Node ? c : String(c))));
  return e;
}

function shape(tag, attributes) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  return e;
}

function milliseconds(ms) {
  if (ms === undefined || ms < 0) return "–";
  if (ms >= 1000) return number.format(ms / 1000) + " s";
  return (ms >= 10 ? Math.round(ms) : ms.toFixed(2)) + " ms";
}

function seconds(s) {
  if (s >= 7200) return number.format(s / 3600) + " h";
  if (s >= 120) return number.format(s / 60) + " min";
  return number.format(s) + " s";
}

function bytes(n) {
  for (const unit of ["B", "KiB", "MiB"]) {
    if (n < 1024) return number.format(n) + " " + unit;
    n /= 1024;
  }
  return number.format(n) + " GiB";
}

const share = (part, all) => (all > 0 ? number.format((100 * part) / all) + " %" : "–");
const time = (text) => clock.format(new Date(text));

// table puts rows into the element, or says that there are none. A column is a title and a function
// of the row; one of numbers begins with "#", one of long texts with "~".
function table(id, caption, none, rows, columns) {
  const at = byId(id);
  if (!rows || rows.length === 0) {
    at.replaceChildren(element("p", { class: "none" }, none));
    return;
  }
  const kind = (title) => (title[0] === "#" ? { class: "number" } : title[0] === "~" ? { class: "text" } : {});
  const plain = (title) => title.replace(/^[#~]/, "");
  const head = columns.map(([title]) => element("th", { scope: "col", ...kind(title) }, plain(title)));
  const body = rows.map((row) => element("tr", {}, ...columns.map(([title, value], i) =>
    element(i ? "td" : "th", { ...(i ? {} : { scope: "row" }), ...kind(title) }, ...[value(row)].flat()))));
  const grid = element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body));
  const old = at.querySelector(".table");
  if (old) old.replaceChildren(grid); // it keeps focus and place
  else at.replaceChildren(element("div", { class: "table", role: "group", tabindex: "0", "aria-label": caption }, grid));
}

function list(id, lines) {
  const at = byId(id);
  at.hidden = lines.length === 0;
  const ul = at.tagName === "UL" ? at : at.querySelector("ul");
  ul.replaceChildren(...lines.map((line) => element("li", {}, line)));
}

function card(name, value, notes, state) {
  return element("div", state === undefined ? {} : { class: state ? "well" : "ill" },
    element("dt", {}, name), element("dd", { class: "value" }, value), ...notes.map((n) => element("dd", {}, n)));
}

function cards(s) {
  const w = s.window, api = s.status.backend || {}, breaker = s.status.breaker || {}, memory = s.status.memory || {};
  const reads = w.hits + w.misses, queues = Object.values(s.status.queues || {});
  const total = (name) => queues.reduce((sum, q) => sum + q[name], 0);
  const all = reads + w.other;
  const use = element("meter", { min: 0, max: memory.limit || 1, value: memory.bytes || 0, "aria-label": "Use of memory" });
  const redis = ["cache", "jobs"].map((name) => name + ": " + (breaker[name + "_error"] || breaker[name] || "unknown"));
  byId("cards").replaceChildren(
    card("Hit ratio", share(w.hits, reads), [`${number.format(w.hits)} of ${number.format(reads)} reads`]),
    card("Requests", number.format(all / Math.max(1, w.seconds)) + " / s", [`${number.format(w.failed)} answered 5xx`], w.failed === 0),
    card("The API was spared", number.format(s.spared.requests) + " requests", [`about ${seconds(s.spared.seconds)} of its time, since the start`]),
    card("A hit takes", milliseconds(w.hit_p50_ms), [`95 % take at most ${milliseconds(w.hit_p95_ms)}`]),
    card("A miss takes", milliseconds(w.miss_p50_ms), [`95 % take at most ${milliseconds(w.miss_p95_ms)}`]),
    api.reachable === null || api.reachable === undefined
      ? card("The API", "not asked yet", [])
      : card("The API", api.reachable ? "answers" : "is away",
        [...(api.reachable ? [`in ${milliseconds(api.recent_ms)} lately`] : []), ...(api.last_error ? [`last error at ${time(api.last_error_at)}: ${api.last_error}`] : [])],
        api.reachable),
    card("Redis, breaker", breaker.cache === "closed" && breaker.jobs === "closed" ? "closed" : "open", redis,
      breaker.cache === "closed" && breaker.jobs === "closed"),
    card("Memory tier", bytes(memory.bytes || 0), [use, `of ${bytes(memory.limit || 0)}; ${number.format(memory.entries || 0)} entries, ${number.format(memory.evictions || 0)} evicted`]),
    card("Jobs", s.status.queues ? number.format(total("pending")) + " wait" : "unknown",
      s.status.queues ? [`${number.format(total("active"))} run, ${number.format(total("retry"))} wait for another attempt`] : ["the job store is away"],
      Boolean(s.status.queues)),
  );
}

function line(points, x, y) {
  let d = "", open = false;
  points.forEach((p, i) => {
    const at = y(p);
    if (at === null) {
      open = false;
      return;
    }
    d += (open ? "L" : "M") + x(i).toFixed(2) + " " + at.toFixed(2);
    if (!open) d += "h0.01"; // a point of its own is seen too
    open = true;
  });
  return d;
}

// chart puts shapes into the element, and labels at heights from 0 (above) to 100.
function chart(id, says, shapes, labels) {
  const svg = shape("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", role: "img", "aria-label": says });
  svg.append(...shapes);
  byId(id).replaceChildren(svg, ...labels.map(([text, top, edge]) => {
    const span = element("span", edge ? { class: "edge" } : {}, text);
    span.style.top = `${top}%`;
    return span;
  }));
}

function charts(s) {
  const points = s.history;
  if (points.length === 0) {
    for (const id of ["requests", "times"]) byId(id).replaceChildren(element("span", {}, "The first point comes in a few seconds."));
    return;
  }
  const span = points[0].seconds, ago = seconds((points[points.length - 1].at - points[0].at) / 1000 + span);
  const width = 100 / 120, first = 120 - points.length; // ten minutes, the last one at the right
  const x = (i) => (first + i) * width;
  const most = Math.max(1, ...points.map((p) => p.hits + p.misses + p.other));
  const bars = [];
  points.forEach((p, i) => {
    let top = 100;
    for (const kind of ["hits", "misses", "other"]) {
      const height = (95 * p[kind]) / most;
      top -= height;
      if (height > 0) bars.push(shape("rect", { class: kind, x: x(i), y: top, width: width * 0.85, height }));
    }
    if (p.failed > 0) bars.push(shape("rect", { class: "failed", x: x(i), y: 0, width: width * 0.85, height: 4 }));
  });
  const ratio = shape("path", { class: "ratio", d: line(points, (i) => x(i) + width / 2, (p) =>
    (p.hits + p.misses > 0 ? 100 - (95 * p.hits) / (p.hits + p.misses) : null)) });
  const w = s.window;
  chart("requests", `In the last ${ago}: ${w.hits} hits, ${w.misses} misses, ${w.other} other requests, ${w.failed} answered 5xx.`,
    [...bars, ratio], [[number.format(most / points[points.length - 1].seconds) + " / s", 0], [ago + " ago", 100], ["now", 100, true]]);

  const known = points.flatMap((p) => [p.hit_ms, p.miss_ms]).filter((ms) => ms > 0);
  const low = Math.floor(Math.log10(Math.min(1, ...known))), high = Math.ceil(Math.log10(Math.max(10, ...known)));
  const y = (ms) => (ms > 0 ? 100 - (95 * (Math.log10(ms) - low)) / (high - low) : null);
  const grid = [], labels = [];
  for (let power = low + 1; power <= high; power++) {
    grid.push(shape("path", { class: "grid", d: `M0 ${y(10 ** power)}H100` }));
    labels.push([milliseconds(10 ** power), y(10 ** power)]);
  }
  const middle = (i) => x(i) + width / 2;
  chart("times", `In the last ${ago}: a hit took ${milliseconds(w.hit_p50_ms)} in the middle, a miss ${milliseconds(w.miss_p50_ms)}.`,
    [...grid, shape("path", { class: "misses", d: line(points, middle, (p) => y(p.miss_ms)) }),
      shape("path", { class: "hits", d: line(points, middle, (p) => y(p.hit_ms)) })], labels);
}

function tables(s) {
  const routes = [
    ["Route", (r) => r.name], ["#Hit ratio", (r) => share(r.hits, r.hits + r.misses)], ["#Hits", (r) => number.format(r.hits)],
    ["#Misses", (r) => number.format(r.misses)], ["#Hit takes", (r) => milliseconds(r.hit_ms)],
    ["#Miss takes", (r) => milliseconds(r.miss_ms)],
  ];
  const reasons = [["Reason", (r) => r.reason], ["#Count", (r) => number.format(r.count)], ["~Means", (r) => (r.says + (r.remedy ? ". " + r.remedy : "")).replaceAll("`", "")]];
  table("slowest-table", "Slowest routes", "No cached route was asked for yet.", s.slowest, routes);
  table("least-table", "Least effective routes", "No cached route was asked for yet.", s.least_effective, routes);
  table("bypasses-table", "Why requests go past the cache", "No request went past the cache.", s.bypasses, reasons);
  table("refused-table", "Why responses are not stored", "Each response of a cached route was stored.", s.not_stored, reasons);
  table("recent-table", "Recent invalidations", "Nothing was invalidated yet.", s.invalidations, [
    ["At", (i) => time(i.at)], ["Write", (i) => (i.route === "none" ? "purge, job or no route" : i.route)], ["#Tags", (i) => i.tags],
    ["Done", (i) => (i.deferred ? "deferred: Redis is away" : "yes")],
  ]);
  table("verified-table", "Hits compared with the API", "No route has verify.", (s.status.verified || {}).routes, [
    ["Route", (r) => r.route], ["#Share", (r) => r.share], ["#Compared", (r) => number.format(r.compared)],
    ["#Differed", (r) => number.format(r.differed)], ["~Proves", (r) => r.proves],
  ]);
  table("queues-table", "Queues", "The job store does not answer.", Object.entries(s.status.queues || {}), [
    ["Queue", ([name]) => name], ["#Wait", ([, q]) => number.format(q.pending)], ["#Run", ([, q]) => number.format(q.active)],
    ["#Retry", ([, q]) => number.format(q.retry)], ["#Oldest", ([, q]) => seconds(q.latency_seconds)],
  ]);
  const pools = [["cache", s.status.redis], ["jobs", s.status.jobs_redis]].filter(([, r]) => r);
  table("redis-table", "Redis", "There is no report.", pools, [
    ["Redis", ([name]) => name], ["State", ([, r]) => (r.connected ? "connected" : r.error || "away")],
    ["#Connections", ([, r]) => `${r.total_conns} of ${r.pool_size}`], ["#Idle", ([, r]) => r.idle_conns],
    ["#Timeouts", ([, r]) => number.format(r.timeouts)],
  ]);
}

let last = "";
function state(text, kind) {
  byId("state").className = "badge " + kind;
  if (text !== last) byId("state").textContent = last = text; // it is read aloud when it changes
}

function show(s) {
  state(s.status.status, s.status.status);
  byId("version").textContent = s.version;
  byId("when").textContent = "as of " + time(s.at);
  byId("window").textContent = "the last " + seconds(Math.round(s.window.seconds));
  list("reasons", s.status.reasons || []);
  const advice = s.status.advice || [];
  list("advice", advice);
  byId("advice").querySelector("summary").textContent = `Advice (${advice.length})`;
  cards(s);
  charts(s);
  tables(s);
}

function watch() {
  const events = new EventSource("ui/events");
  events.addEventListener("snapshot", (e) => show(JSON.parse(e.data)));
  events.onerror = () => {
    state("offline", "offline");
    if (events.readyState === EventSource.CLOSED) setTimeout(watch, 5000); // too many watch
  };
}

// The token is held here alone, and goes with this page.
let token = "", refreshing = 0;

async function ask(method, path) {
  const response = await fetch(path, { method, headers: { Authorization: "Bearer " + token }, cache: "no-store" });
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(body.detail || response.statusText);
  return body;
}

const say = (text) => { byId("said").textContent = text; };

async function act(method, path, done) {
  try {
    await ask(method, path);
    say(done);
  } catch (e) {
    say(e.message);
  }
  await jobs().catch((e) => say(e.message));
}

function button(text, job, method, path, done) {
  const b = element("button", { type: "button", "data-key": text + job.job_id, "aria-label": `${text} job ${job.job_id.slice(0, 8)} of ${job.type}` }, text);
  b.addEventListener("click", () => {
    b.disabled = true;
    act(method, path, `Job ${job.job_id.slice(0, 8)} ${done}.`);
  });
  return b;
}

async function jobs() {
  const status = byId("status").value;
  const page = await ask("GET", "admin/jobs?limit=25" + (status ? "&status=" + status : ""));
  const focused = document.activeElement && document.activeElement.dataset.key;
  table("jobs-table", "Jobs", "There are none.", page.jobs.sort((a, b) => (a.queued_at < b.queued_at ? 1 : -1)), [
    ["Job", (j) => j.job_id.slice(0, 8)],
    ["Do", (j) => [
      ...(j.status === "retrying" ? [button("Retry", j, "POST", `admin/jobs/${j.job_id}/retry`, "runs at once")] : []),
      ...(["queued", "running", "retrying"].includes(j.status) && !j.canceling
        ? [button("Cancel", j, "DELETE", `admin/jobs/${j.job_id}`, "is canceled, or ends soon")] : []),
    ]],
    ["Type", (j) => j.type], ["Queue", (j) => j.queue],
    ["Status", (j) => (j.canceling ? "canceling" : j.status)], ["#Attempts", (j) => j.attempts], ["Queued at", (j) => time(j.queued_at)],
    ["~Last error", (j) => j.last_error || ""],
  ]);
  const again = focused && document.querySelector(`[data-key="${CSS.escape(focused)}"]`);
  if (again) again.focus();
}

async function policies() {
  const p = await ask("GET", "admin/policies");
  byId("policies-file").textContent = `${p.file}, version ${p.version}, loaded at ${time(p.loaded_at)}`;
  table("policies-table", "Policies in force", "There are no routes.", p.routes, [
    ["Route", (r) => r.name], ["Match", (r) => r.match.join(", ")], ["Kind", (r) => r.kind], ["Lifetime", (r) => r.ttl || ""],
    ["~Tags, or what it invalidates", (r) => [...(r.tags || []), ...(r.invalidate || [])].join(", ")],
    ["Verify", (r) => r.verify || ""], ["Queue", (r) => r.queue || ""],
  ]);
}

byId("sign-in").addEventListener("submit", async (e) => {
  e.preventDefault();
  token = byId("token").value;
  byId("token").value = "";
  clearInterval(refreshing);
  try {
    await policies();
    byId("administration").hidden = false;
    say("Jobs and policies are shown below.");
    await jobs();
    refreshing = setInterval(() => jobs().catch((e) => say(e.message)), 5000);
  } catch (e) {
    say(e.message);
  }
});
byId("status").addEventListener("change", () => jobs().catch((e) => say(e.message)));
watch();
