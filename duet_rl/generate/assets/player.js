// The player: buttons, keys and the scrub bar around a Stage. Needs stage.js and dance.js.

const SEEK_SECONDS = 1; // of an arrow key
const SLOW_SECONDS = 0.045; // for one picture; slower ones make the player draw less finely
const PATIENCE = 12; // pictures that are looked at before that

class Player {
  /** Bring `root`, made from player.html, to life with the dances in `data`. */
  constructor(root, data) {
    this.root = root;
    this.data = data;
    this.find = (name) => root.querySelector(`[data-part="${name}"]`);
    this.sounds = new Map(); // scene -> audio element
    this.stage = new Stage(this.find("canvas"), data.figure);
    this.embedded = !document.body.classList.contains("page");
    if (this.embedded) this.leaveScrolling();
    this.connect();
    this.setTheme(document.documentElement.dataset.theme);
    const start = new URLSearchParams(location.hash.slice(1));
    this.fillList(this.find("scene"), data.scenes);
    this.openScene(Number(start.get("scene") ?? 0), Number(start.get("follower") ?? 0));
    if (start.has("t")) this.seek(Number(start.get("t")));
    new ResizeObserver(() => this.stage.resize()).observe(this.find("view"));
    requestAnimationFrame(() => this.tick());
  }

  connect() {
    const on = (name, event, act) => this.find(name).addEventListener(event, act);
    on("play", "click", () => this.toggle());
    on("start", "click", () => this.toggle());
    on("scrub", "input", (event) => this.seek(Number(event.target.value)));
    on("speed", "change", (event) => this.clock.setRate(Number(event.target.value)));
    on("scene", "change", (event) => this.openScene(Number(event.target.value), 0));
    on("sound", "click", () => this.setMuted(!this.muted));
    on("marks", "click", () => this.setMarks(!this.stage.showMarks));
    on("centre", "click", () => this.stage.frame());
    on("theme", "click", () => switchTheme());
    on("full", "click", () => this.toggleFullScreen());
    document.addEventListener("themechange", (event) => this.setTheme(event.detail));
    document.addEventListener("visibilitychange", () => (this.watched = null));
    document.addEventListener("keydown", (event) => this.onKey(event));
  }

  /** Let wheel and finger scroll the page around the player, until it is pressed. */
  leaveScrolling() {
    const canvas = this.find("canvas");
    canvas.style.touchAction = "pan-y";
    this.stage.orbit.enableZoom = false;
    canvas.addEventListener("pointerdown", () => (this.stage.orbit.enableZoom = true));
    this.root.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse") this.stage.orbit.enableZoom = false;
    });
  }

  onKey(event) {
    const typing = ["SELECT", "TEXTAREA"].includes(event.target.tagName);
    const meant = !this.embedded || this.root.matches(":hover, :focus-within");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !meant) return;
    const frame = 1 / this.couple.fps;
    const seek = (by) => this.seek(this.clock.now() + by);
    const acts = {
      " ": () => this.toggle(),
      ArrowLeft: () => seek(-SEEK_SECONDS),
      ArrowRight: () => seek(SEEK_SECONDS),
      ",": () => seek(-frame),
      ".": () => seek(frame),
      m: () => this.setMuted(!this.muted),
      c: () => this.setMarks(!this.stage.showMarks),
      f: () => this.toggleFullScreen(),
    };
    const act = acts[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  fillList(select, scenes) {
    select.replaceChildren(...scenes.map((scene, index) => new Option(scene.name, index)));
    select.hidden = scenes.length < 2;
  }

  openScene(index, follower) {
    this.clock?.pause();
    this.scene = this.data.scenes[Math.min(index, this.data.scenes.length - 1)];
    this.find("scene").value = this.data.scenes.indexOf(this.scene);
    const { followers } = this.scene;
    this.find("followers").replaceChildren(...followers.map((one, at) => this.followerButton(one, at)));
    this.find("followers").hidden = followers.length < 2;
    this.find("note").textContent = this.scene.note;
    this.choice = null;
    this.choose(followers[Math.min(follower, followers.length - 1)] ?? null);
    const seconds = (this.couple.frames - 1) / this.couple.fps;
    this.clock = new DanceClock(seconds, this.soundOf(this.scene));
    this.clock.rate = Number(this.find("speed").value);
    this.find("scrub").max = seconds;
    this.find("sound").hidden = !this.scene.audio;
    this.setMuted(this.muted ?? false);
    this.showBeats(this.scene.beats, seconds);
  }

  followerButton(follower, index) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = follower.name;
    button.addEventListener("click", () => this.choose(this.scene.followers[index]));
    return button;
  }

  /** Dance with this follower from now on; the music goes on. */
  choose(follower) {
    const first = this.choice === null;
    this.choice = follower;
    this.couple = new Couple(this.scene, follower);
    this.stage.show(this.couple, !first);
    [...this.find("followers").children].forEach((button, index) => {
      button.setAttribute("aria-pressed", String(this.scene.followers[index] === follower));
    });
    const leader = this.scene.leader;
    this.find("leader-name").textContent = (leader ?? follower).name;
    this.find("follower-name").textContent = this.labelOf(follower);
    this.find("follower-legend").hidden = !follower || !leader;
    this.shown = null;
  }

  labelOf(follower) {
    if (!follower) return "";
    return this.scene.followers.length > 1 ? `follower: ${follower.name}` : follower.name;
  }

  soundOf(scene) {
    if (!scene.audio) return null;
    if (!this.sounds.has(scene)) {
      const url = URL.createObjectURL(new Blob([bytesOf(scene.audio)], { type: scene.audio_type }));
      this.sounds.set(scene, Object.assign(new Audio(url), { preload: "auto" }));
    }
    return this.sounds.get(scene);
  }

  showBeats(beats, seconds) {
    const ticks = beats.map((beat) => {
      const tick = document.createElement("i");
      tick.style.left = `${(100 * beat) / seconds}%`;
      return tick;
    });
    this.find("beats").replaceChildren(...ticks);
  }

  seek(time) {
    this.root.classList.add("started");
    this.clock.seek(time);
  }

  toggle() {
    this.root.classList.add("started");
    if (this.clock.playing) this.clock.pause();
    else this.clock.play();
  }

  setMuted(muted) {
    this.muted = muted;
    if (this.clock.audio) this.clock.audio.muted = muted;
    this.find("sound").setAttribute("aria-pressed", String(!muted));
  }

  setMarks(shown) {
    this.stage.showMarks = shown;
    this.shown = null;
    this.find("marks").setAttribute("aria-pressed", String(shown));
  }

  setTheme(theme) {
    this.stage.paint(theme);
  }

  toggleFullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.root.requestFullscreen?.();
  }

  /** Draw one picture, then ask for the next. */
  tick() {
    const time = this.clock.now();
    if (this.clock.playing && time >= this.clock.seconds) this.replay();
    const frame = time * this.couple.fps;
    if (frame !== this.shown) {
      this.stage.pose(this.couple, frame);
      this.shown = frame;
      this.showTime(time);
    }
    this.root.classList.toggle("playing", this.clock.playing);
    this.stage.draw();
    this.watchSpeed();
    requestAnimationFrame(() => this.tick());
  }

  /** Make the drawing lighter when this machine cannot keep up. */
  watchSpeed() {
    const now = performance.now() / 1000;
    if (!this.clock.playing || !this.watched) this.watched = { since: now, pictures: 0 };
    this.watched.pictures += 1;
    if (this.watched.pictures <= PATIENCE) return;
    const slow = (now - this.watched.since) / PATIENCE > SLOW_SECONDS;
    this.watched = null;
    if (slow) this.stage.lighten();
  }

  /** Start over: a dance is short, and worth a second look. */
  replay() {
    this.clock.seek(0);
    this.clock.play();
  }

  showTime(time) {
    const scrub = this.find("scrub");
    scrub.value = time;
    scrub.style.setProperty("--done", `${(100 * time) / this.clock.seconds}%`);
    this.find("time").textContent = `${clockFace(time)} / ${clockFace(this.clock.seconds)}`;
  }
}

function clockFace(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}.${Math.floor((seconds % 1) * 10)}`;
}

/** Start a player in every element of class `player`; each is followed by its data. */
function startPlayers() {
  for (const root of document.querySelectorAll(".player")) {
    const data = JSON.parse(root.querySelector("script[type='application/json']").textContent);
    try {
      root.player = new Player(root, data);
    } catch (error) {
      root.classList.add("failed"); // most likely a browser without WebGL
      console.error(error);
    }
  }
}

startPlayers();
