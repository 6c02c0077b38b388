// The live page: watches a couple over a WebSocket, shows how late it is, and turns its dials.

const TOKEN_SECONDS = 4 / 30;
const COUPLE = 4; // first byte of a frame of both
const HEAD = 16; // bytes before its numbers
const HISTORY = 60; // reports that the curve shows
const WANTED_MS = 33;
const RETRY_MS = 1500;
const APART_SECONDS = 0.15; // how far the sound may be from the dance before it is set anew

const find = (id) => document.getElementById(id);
const query = location.search; // holds the token, if there is one

/** Say how firmly hands are held. */
function firmness(value) {
  const words = { "-1": "looser", 0: "as learned", 1: "firmer" };
  return Number(value) === 0 ? "free" : `${Number(value).toFixed(1)}, ${words[Math.sign(value - 1)]}`;
}

class LivePage {
  constructor(figure) {
    this.latest = null;
    this.history = [];
    this.came = [];
    this.turning = new Set(); // dials under somebody's finger
    this.audio = null;
    try {
      this.stage = new LiveStage(find("view"), figure);
    } catch (error) {
      find("sorry").hidden = false;
      console.error(error);
    }
    this.addDial("ahead", "look_ahead", (value) => `${value} tokens, ${Math.round(1000 * value * TOKEN_SECONDS)} ms`);
    this.addDial("temperature", "temperature", (value) => Number(value).toFixed(2));
    this.addDial("hold", "hold", firmness);
    find("couple").addEventListener("change", () => this.connect());
    find("centre").addEventListener("click", () => this.stage?.frame());
    find("sound").addEventListener("click", () => this.toggleSound());
    this.connect();
    requestAnimationFrame(() => this.tick());
  }

  addDial(id, name, told) {
    const dial = find(id);
    const tell = () => (find(`${id}-value`).textContent = told(dial.value));
    dial.addEventListener("input", () => {
      this.turning.add(id);
      tell();
    });
    dial.addEventListener("change", () => {
      this.say({ type: "dials", [name]: Number(dial.value) });
      setTimeout(() => this.turning.delete(id), 1500);
    });
    dial.take = (value) => {
      dial.disabled = value === undefined || value === null;
      if (dial.disabled || this.turning.has(id)) return;
      dial.value = value;
      tell();
    };
  }

  connect() {
    this.socket?.close();
    const place = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live${query}`;
    const socket = new WebSocket(place);
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      const wanted = find("couple").value;
      this.say({ type: "hello", role: "watcher", couple: wanted ? Number(wanted) : null });
      this.tell("waiting", "waiting for a couple");
    };
    socket.onmessage = ({ data }) => (typeof data === "string" ? this.hear(JSON.parse(data)) : this.see(data));
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.tell("gone", this.reason ?? "the server is gone; trying again");
      setTimeout(() => this.socket === socket && this.connect(), RETRY_MS);
    };
  }

  say(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  see(data) {
    if (new DataView(data).getUint8(0) !== COUPLE) return;
    const numbers = new Float32Array(data, HEAD);
    this.latest = { leader: numbers.subarray(0, NUMBERS), follower: numbers.subarray(NUMBERS) };
    this.came.push(performance.now());
    this.tell("live", "live");
  }

  hear(message) {
    if (message.type === "error") this.reason = message.fatal ? message.message : null;
    if (message.type === "error") find("faults").textContent = message.message;
    if (message.type !== "stats") return;
    if (message.couple === null) this.tell("waiting", "waiting for a couple");
    const number = (value, digits) => (value === null || value === undefined ? "–" : value.toFixed(digits));
    find("p50").textContent = number(message.p50_ms, 1);
    find("p99").textContent = number(message.p99_ms, 1);
    find("token").textContent = number(message.token_ms, 0);
    const now = performance.now();
    this.came = this.came.filter((time) => now - time < 2000);
    find("rate").textContent = (this.came.length / 2).toFixed(0);
    find("ahead").take(message.look_ahead);
    find("temperature").take(message.temperature);
    find("hold").take(message.hold);
    if (message.lag_frames) {
      const faults = Object.entries(message.counts).filter(([name, count]) => name !== "received" && count);
      const told = faults.map(([name, count]) => `${name}: ${count}`).join(", ");
      find("faults").textContent = `${Math.round((1000 * message.lag_frames) / 30)} ms behind the leader${told ? "; " + told : ""}`;
    }
    this.list(message.couples ?? []);
    this.history.push(message.p99_ms ?? 0);
    this.history = this.history.slice(-HISTORY);
    this.drawHistory();
    this.follow(message.song_seconds);
  }

  list(couples) {
    const select = find("couple");
    const wanted = ["newest", ...couples.map(String)];
    if ([...select.options].map((option) => option.text).join() === wanted.join()) return;
    const chosen = select.value;
    select.replaceChildren(...wanted.map((name, place) => new Option(name, place ? name : "")));
    select.value = wanted.includes(chosen) ? chosen : "";
  }

  drawHistory() {
    const canvas = find("history");
    const style = getComputedStyle(document.documentElement);
    const context = canvas.getContext("2d");
    const { width, height } = canvas;
    const top = Math.max(1.5 * WANTED_MS, ...this.history) * 1.05;
    const y = (ms) => height - 3 - ((height - 6) * ms) / top;
    context.clearRect(0, 0, width, height);
    context.strokeStyle = style.getPropertyValue("--soft-ink");
    context.setLineDash([6, 6]);
    context.beginPath();
    context.moveTo(0, y(WANTED_MS));
    context.lineTo(width, y(WANTED_MS));
    context.stroke();
    context.setLineDash([]);
    context.strokeStyle = style.getPropertyValue("--dancer1");
    context.lineWidth = 3;
    context.beginPath();
    this.history.forEach((ms, place) => context.lineTo((width * place) / (HISTORY - 1), y(ms)));
    context.stroke();
  }

  /** Keep the song with the dance, if the server has one and somebody wants to hear it. */
  follow(seconds) {
    find("sound").hidden = seconds === undefined;
    if (!this.audio || seconds === undefined) return;
    if (seconds === null) this.audio.pause();
    else {
      if (Math.abs(this.audio.currentTime - seconds) > APART_SECONDS) this.audio.currentTime = seconds;
      if (this.audio.paused) this.audio.play().catch(() => {});
    }
  }

  toggleSound() {
    if (this.audio) this.audio.pause();
    this.audio = this.audio ? null : new Audio(`song${query}`);
    find("sound").setAttribute("aria-pressed", String(this.audio !== null));
  }

  tell(state, words) {
    const place = find("state");
    if (place.dataset.state !== state || place.textContent !== words) {
      place.dataset.state = state;
      place.textContent = words;
    }
  }

  tick() {
    this.stage?.watchSpeed(this.latest !== null);
    if (this.latest && this.stage) {
      this.stage.pose(this.latest.leader, this.latest.follower);
      this.latest = null;
    }
    this.stage?.draw();
    requestAnimationFrame(() => this.tick());
  }
}

fetch(`figure.json${query}`)
  .then((response) => response.json())
  .then((figure) => (window.live = new LivePage(figure)));
