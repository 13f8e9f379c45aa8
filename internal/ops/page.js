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
  if (ms >= 1000) return number.format(ms / 1000) + "\u00a0s";
  return (ms >= 10 ? Math.round(ms) : ms.toFixed(2)) + "\u00a0ms";
}

function seconds(s) {
  if (s >= 7200) return number.format(s / 3600) + "\u00a0h";
  if (s >= 120) return number.format(s / 60) + "\u00a0min";
  return number.format(s) + "\u00a0s";
}

function bytes(n) {
  for (const unit of ["B", "KiB", "MiB"]) {
    if (n < 1024) return number.format(n) + "\u00a0" + unit;
    n /= 1024;
  }
  return number.format(n) + "\u00a0GiB";
}

const share = (part, all) => (all > 0 ? number.format((100 * part) / all) + " %" : "–");
const time = (text) => clock.format(new Date(text));

// How many rows of a table are shown, where that is more than the first.
const firstRows = 50, shown = {};

// table puts rows into the element, or says that there are none. A column is a title and a function
// of the row; one of numbers begins with "#", one of long texts with "~".
function table(id, caption, none, rows, columns) {
  const at = byId(id);
  if (!rows || rows.length === 0) {
    at.replaceChildren(element("p", { class: "none" }, none));
    return;
  }
  const most = shown[id] || firstRows;
  const kind = (title) => (title[0] === "#" ? { class: "number" } : title[0] === "~" ? { class: "text" } : {});
  const plain = (title) => title.replace(/^[#~]/, "");
  const head = columns.map(([title]) => element("th", { scope: "col", ...kind(title) }, plain(title)));
  const body = rows.slice(0, most).map((row) => element("tr", {}, ...columns.map(([title, value], i) =>
    element(i ? "td" : "th", { ...(i ? {} : { scope: "row" }), ...kind(title) }, ...[value(row)].flat()))));
  const grid = element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body));
  const focused = at.contains(document.activeElement) && document.activeElement.dataset.key;
  const old = at.querySelector(".table");
  if (old) old.replaceChildren(grid); // it keeps its place
  else at.replaceChildren(element("div", { class: "table", role: "group", tabindex: "0", "aria-label": caption }, grid));
  const more = at.querySelector(".more");
  if (more) more.remove();
  if (rows.length > most) {
    const b = element("button", { type: "button", class: "more", "data-key": "more " + id }, `Show ${Math.min(firstRows, rows.length - most)} more of ${number.format(rows.length)}`);
    b.addEventListener("click", () => {
      shown[id] = most + firstRows;
      table(id, caption, none, rows, columns);
    });
    at.append(b);
  }
  const again = focused && at.querySelector(`[data-key="${CSS.escape(focused)}"]`);
  if (again) again.focus();
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
  const redis = ["cache", "jobs"].map((name) => name + ": " + ((breaker[name + "_error"] || "").split(":")[0] || breaker[name] || "unknown"));
  byId("cards").replaceChildren(
    card("Hit ratio", share(w.hits, reads), [`${number.format(w.hits)} of ${number.format(reads)} reads`]),
    card("Requests", number.format(all / Math.max(1, w.seconds)) + " / s", [`${number.format(w.failed)} answered 5xx`], w.failed === 0),
    card("The API was spared", number.format(s.spared.requests) + " requests", [`about ${seconds(s.spared.seconds)} of its time, since the start`]),
    card("A hit takes", milliseconds(w.hit_p50_ms), w.hit_p95_ms < 0 ? ["there was none"] : [`95 % take at most ${milliseconds(w.hit_p95_ms)}`]),
    card("A miss takes", milliseconds(w.miss_p50_ms), w.miss_p95_ms < 0 ? ["there was none"] : [`95 % take at most ${milliseconds(w.miss_p95_ms)}`]),
    api.reachable === null || api.reachable === undefined
      ? card("The API", "not asked yet", [])
      : card("The API", !api.reachable ? "is away" : api.errors_in_a_row > 0 ? "answers 5xx" : "answers",
        [...(api.reachable ? [`in ${milliseconds(api.recent_ms)} lately`] : []), ...(api.errors_in_a_row > 0 ? [`the last ${number.format(api.errors_in_a_row)} were 5xx, since ${time(api.errors_since)}`] : []), ...(api.last_error ? [`last error at ${time(api.last_error_at)}: ${api.last_error}`] : [])],
        api.reachable && !(api.errors_in_a_row >= 10)),
    card("Redis, breaker", breaker.cache === "closed" && breaker.jobs === "closed" ? "closed" : "open", redis,
      breaker.cache === "closed" && breaker.jobs === "closed"),
    card("Memory tier", bytes(memory.bytes || 0), [use, `of ${bytes(memory.limit || 0)}; ${number.format(memory.entries || 0)} entries, ${number.format(memory.evictions || 0)} evicted`]),
    card("Jobs", s.status.queues ? number.format(total("pending") + total("retry")) + " wait" : "unknown",
      s.status.queues ? [`${number.format(total("retry"))} of them for another attempt; ${number.format(total("active"))} run`] : ["the job store is away"],
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
    if (!open) d += "h0.5"; // a point of its own is seen too
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

// charts draws points. usual is how long a hit and a miss took, in words.
function charts(points, usual) {
  if (points.length === 0) {
    for (const id of ["requests", "times"]) byId(id).replaceChildren(element("span", {}, "The first point comes in a few seconds."));
    return;
  }
  const span = points[0].seconds, end = points[points.length - 1];
  const places = Math.max(24, points.length); // the last one is at the right
  const width = 100 / places, first = places - points.length;
  const ago = seconds(Math.round((end.at - points[0].at) / 1000 + span)), left = seconds(Math.round(places * span));
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
  const sum = (kind) => number.format(points.reduce((n, p) => n + p[kind], 0));
  chart("requests", `In the last ${ago}: ${sum("hits")} hits, ${sum("misses")} misses, ${sum("other")} other requests, ${sum("failed")} answered 5xx.`,
    [...bars, ratio], [[number.format(most / end.seconds) + " / s", 0], [left + " ago", 100], ["now", 100, true]]);

  const known = points.flatMap((p) => [p.hit_ms, p.miss_ms]).filter((ms) => ms > 0);
  const low = Math.floor(Math.log10(Math.min(1, ...known))), high = Math.ceil(Math.log10(Math.max(10, ...known)));
  const y = (ms) => (ms > 0 ? 100 - (95 * (Math.log10(ms) - low)) / (high - low) : null);
  const grid = [], labels = [];
  for (let power = low + 1; power <= high; power++) {
    grid.push(shape("path", { class: "grid", d: `M0 ${y(10 ** power)}H100` }));
    labels.push([power < 3 ? (10 ** power).toFixed(Math.max(0, -power)) + "\u00a0ms" : seconds(10 ** (power - 3)), y(10 ** power)]);
  }
  const middle = (i) => x(i) + width / 2;
  chart("times", `In the last ${ago}: ${usual}.`,
    [...grid, shape("path", { class: "misses", d: line(points, middle, (p) => y(p.miss_ms)) }),
      shape("path", { class: "hits", d: line(points, middle, (p) => y(p.hit_ms)) })], labels);
}

// The route whose charts are shown; "": all together.
let chosen = "", last = null;

async function drawCharts() {
  if (chosen === "") {
    const w = last.window;
    charts(last.history, `a hit took ${milliseconds(w.hit_p50_ms)} in the middle, a miss ${milliseconds(w.miss_p50_ms)}`);
    return;
  }
  const of = chosen;
  const response = await fetch("ui/history?route=" + encodeURIComponent(of), { cache: "no-store" });
  if (!response.ok) throw new Error("there is no history of " + of);
  const points = (await response.json()).points;
  if (of !== chosen) return; // another one was chosen meanwhile
  const mean = (n, ms) => {
    const all = points.reduce((sum, p) => sum + p[n], 0);
    return all > 0 ? points.reduce((sum, p) => sum + p[n] * Math.max(0, p[ms]), 0) / all : -1;
  };
  charts(points, `a hit of ${of} took ${milliseconds(mean("hits", "hit_ms"))}, a miss ${milliseconds(mean("misses", "miss_ms"))}`);
}

function redraw() {
  drawCharts().catch((e) => {
    for (const id of ["requests", "times"]) byId(id).replaceChildren(element("span", {}, e.message));
  });
}

function choose(route) {
  byId("route").value = chosen = route;
  byId("of-route").textContent = route === "" ? "" : "of " + route;
  if (last) redraw();
}

let offered = "";
function offerRoutes(names) {
  if (names.join(" ") === offered) return; // an open list stays
  offered = names.join(" ");
  byId("route").replaceChildren(element("option", { value: "" }, "all routes"),
    ...names.map((name) => element("option", { value: name }, name === "none" ? "none: no route matched" : name)));
  byId("route").value = chosen;
}

// breakable is a name that may be broken behind its signs.
const breakable = (name) => name.split(/(?<=[_.-])/).flatMap((part) => [part, document.createElement("wbr")]);

// routeButton shows the charts of a route.
function routeButton(name, id) {
  const b = element("button", { type: "button", class: "link", "data-key": id + name, "aria-label": "Charts of " + name }, ...breakable(name));
  b.addEventListener("click", () => {
    choose(name);
    byId("route").focus();
    byId("traffic").scrollIntoView();
  });
  return b;
}

function tables(s) {
  const routes = (id) => [
    ["Route", (r) => (s.routes.includes(r.name) ? routeButton(r.name, id) : breakable(r.name))], ["#Hit ratio", (r) => share(r.hits, r.hits + r.misses)], ["#Hits", (r) => number.format(r.hits)],
    ["#Misses", (r) => number.format(r.misses)], ["#Hit takes", (r) => milliseconds(r.hit_ms)],
    ["#Miss takes", (r) => milliseconds(r.miss_ms)], ["#5xx", (r) => number.format(r.failed)],
  ];
  const reasons = [["Reason", (r) => r.reason], ["#Count", (r) => number.format(r.count)], ["~Means", (r) => (r.says + (r.remedy ? ". " + r.remedy : "")).replaceAll("`", "")]];
  table("slowest-table", "Slowest routes", "No cached route was asked for lately.", s.slowest, routes("slowest "));
  table("least-table", "Least effective routes", "No cached route was asked for lately.", s.least_effective, routes("least "));
  table("bypasses-table", "Why requests go past the cache", "No request went past the cache.", s.bypasses, reasons);
  table("refused-table", "Why responses are not stored", "Each response of a cached route was stored.", s.not_stored, reasons);
  table("recent-table", "Recent invalidations", "Nothing was invalidated yet.", s.invalidations, [
    ["At", (i) => time(i.at)], ["Write", (i) => (i.route === "none" ? "purge, job or no route" : i.route)], ["#Tags", (i) => i.tags],
    ["Done", (i) => (i.deferred ? "deferred: Redis is away" : "yes")],
  ]);
  table("verified-table", "Hits compared with the API", "No route has verify.", (s.status.verified || {}).routes, [
    ["Route", (r) => r.route], ["#Share", (r) => r.share], ["#Compared", (r) => number.format(r.compared)],
    ["#Differed", (r) => number.format(r.differed)],
    ["~Proves", (r) => r.proves + Object.entries(r.inconclusive_by || {}).map(([why, n]) => `; inconclusive (${why}): ${number.format(n)}`).join("")],
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

let said = "";
function state(text, kind) {
  byId("state").className = "badge " + kind;
  if (text !== said) byId("state").textContent = said = text; // it is read aloud when it changes
  document.title = text === "healthy" ? "sidecar" : text + ": sidecar";
}

function show(s) {
  last = s;
  state(s.status.status, s.status.status);
  byId("lost").hidden = true;
  document.body.classList.remove("stale");
  byId("version").textContent = s.version;
  byId("when").textContent = "as of " + time(s.at);
  for (const e of document.querySelectorAll(".window")) e.textContent = "the last " + seconds(Math.round(s.window.seconds));
  list("reasons", s.status.reasons || []);
  const advice = s.status.advice || [];
  list("advice", advice);
  byId("advice").querySelector("summary").textContent = `Advice (${advice.length})`;
  offerRoutes(s.routes);
  cards(s);
  redraw();
  tables(s);
}

// lost says that what is shown is old.
function lost() {
  state("offline", "offline");
  document.body.classList.add("stale");
  byId("lost").hidden = false;
  byId("lost").textContent = (last ? `The sidecar has not answered since ${time(last.at)}: what is shown is of then. ` : "The sidecar does not answer. ")
    + "This page tries again by itself.";
}

// A sidecar that hangs ends no connection: after this time without a word it is lost, too.
const patience = 10000;
let events = null, heard = 0;

function watch() {
  if (events) events.close();
  heard = Date.now();
  events = new EventSource("ui/events");
  events.addEventListener("snapshot", (e) => {
    heard = Date.now();
    show(JSON.parse(e.data));
  });
  events.onerror = lost;
}

setInterval(() => {
  if (Date.now() - heard < patience) return;
  lost();
  watch(); // also where the browser has given up, since too many watch
}, 1000);

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
  await refreshJobs();
}

// The job that is canceled by one more click: the first one may be a slip.
let doubtful = "";

function button(text, job, method, path, done) {
  const short = job.job_id.slice(0, 8), again = text === "Cancel" && doubtful === job.job_id;
  const shows = again ? "Cancel it?" : text;
  const b = element("button", { type: "button", "data-key": text + job.job_id, "aria-label": `${shows} Job ${short} of ${job.type}` }, shows);
  b.addEventListener("click", () => {
    if (text === "Cancel" && doubtful !== job.job_id) {
      doubtful = job.job_id;
      b.textContent = "Cancel it?";
      b.setAttribute("aria-label", `Cancel it? Job ${short} of ${job.type}`);
      say(`Press once more to cancel job ${short}.`);
      return;
    }
    doubtful = "";
    b.disabled = true;
    act(method, path, `Job ${short} ${done}.`);
  });
  return b;
}

// The most jobs that are looked for. The job store gives them in no order.
const mostJobs = 1000;

async function findJobs(status) {
  const found = new Map(); // a job may come twice
  let cursor = "";
  do {
    const page = await ask("GET", "admin/jobs?limit=500" + (status ? "&status=" + status : "") + cursor);
    for (const job of page.jobs) found.set(job.job_id, job);
    cursor = page.next ? "&cursor=" + encodeURIComponent(page.next) : "";
  } while (cursor && found.size < mostJobs);
  return [[...found.values()].sort((a, b) => (a.queued_at < b.queued_at ? 1 : -1)), cursor !== ""];
}

async function jobs() {
  const status = byId("status").value;
  const [found, isMore] = await findJobs(status);
  if (status !== byId("status").value) return; // another one was chosen meanwhile
  const count = number.format(found.length);
  byId("jobs-found").textContent = isMore ? `some ${count} of more, the newest of them first` : `${count}, the newest first`;
  table("jobs-table", "Jobs", "There are none.", found, [
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
}

// refreshJobs shows the jobs, or why it cannot, until it can again.
let trouble = "";
async function refreshJobs() {
  try {
    await jobs();
    if (trouble && byId("said").textContent === trouble) say("");
    trouble = "";
  } catch (e) {
    trouble = e.message;
    say(trouble);
  }
}

let inForce = null;
async function policies() {
  inForce = await ask("GET", "admin/policies");
  showPolicies();
}

function showPolicies() {
  const p = inForce, wanted = byId("filter").value.toLowerCase();
  const routes = p.routes.filter((r) => [r.name, ...r.match, ...(r.tags || []), ...(r.invalidate || [])].join(" ").toLowerCase().includes(wanted));
  byId("policies-file").textContent = `${p.file}, version ${p.version}, loaded at ${time(p.loaded_at)}`;
  table("policies-table", "Policies in force", wanted ? "No route has this." : "There are no routes.", routes, [
    ["Route", (r) => breakable(r.name)], ["Match", (r) => r.match.join(", ")], ["Kind", (r) => r.kind],
    ["Lifetime", (r) => (r.ttl || "").replace(/m0s$/, "m").replace(/h0m$/, "h")],
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
    refreshing = setInterval(refreshJobs, 5000);
    await refreshJobs();
  } catch (e) {
    say(e.message);
  }
});
byId("status").addEventListener("change", () => {
  delete shown["jobs-table"];
  refreshJobs();
});
byId("filter").addEventListener("input", showPolicies);
byId("route").addEventListener("change", () => choose(byId("route").value));
watch();
