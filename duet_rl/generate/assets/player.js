// The player: buttons, keys and the timeline around a Stage. Needs stage.js, dance.js, timeline.js.

const SEEK_SECONDS = 1; // of an arrow key

class Player {
  /** Bring `root`, made from player.html, to life with the dances in `data`. */
  constructor(root, data) {
    this.root = root;
    this.data = data;
    this.find = (name) => root.querySelector(`[data-part="${name}"]`);
    this.sounds = new Map(); // scene -> audio element
    this.calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.stage = new Stage(this.find("canvas"), data.figure, this.calm);
    this.timeline = new Timeline(root, (time) => this.seek(time));
    this.embedded = !document.body.classList.contains("page");
    if (this.embedded) this.leaveScrolling();
    this.connect();
    this.setTheme(document.documentElement.dataset.theme);
    this.setLoop(!this.calm);
    this.setFollows(!this.calm);
    this.fillList(this.find("scene"), data.scenes);
    new ResizeObserver(() => this.stage.resize()).observe(this.find("view"));
  }

  /** Unpack the dance that the address asks for, show it, and go on from there. */
  async open() {
    const start = new URLSearchParams(location.hash.slice(1));
    await this.openScene(Number(start.get("scene") ?? 0), Number(start.get("follower") ?? 0));
    if (start.has("camera")) this.stage.look(Number(start.get("camera")) - 1);
    if (start.has("t")) this.seek(Number(start.get("t")));
    this.tick();
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
    on("scores", "click", () => this.setScores(this.find("timeline").hidden));
    on("loop", "click", () => this.setLoop(!this.loops));
    on("follow", "click", () => this.setFollows(!this.stage.follows));
    on("centre", "click", () => this.look(this.stage.view + 1));
    on("help", "click", () => this.setHelp(this.find("keys").hidden));
    on("theme", "click", () => switchTheme());
    on("full", "click", () => this.toggleFullScreen());
    document.addEventListener("themechange", (event) => this.setTheme(event.detail));
    document.addEventListener("visibilitychange", () => (this.watched = null));
    document.addEventListener("keydown", (event) => this.onKey(event));
    this.root.addEventListener("click", (event) => {
      const byPointer = event.detail > 0; // a key's click has no count
      if (byPointer) event.target.closest("button")?.blur(); // so that space plays on
    });
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
    const { tagName } = event.target;
    const typing = ["SELECT", "TEXTAREA"].includes(tagName);
    if (tagName === "BUTTON" && event.key === " ") return; // it presses the button
    const meant = !this.embedded || this.root.matches(":hover, :focus-within");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !meant || !this.clock) return;
    const frame = 1 / this.troupe.fps;
    const seek = (by) => this.seek(this.clock.now() + by);
    const acts = {
      " ": () => this.toggle(),
      ArrowLeft: () => seek(-SEEK_SECONDS),
      ArrowRight: () => seek(SEEK_SECONDS),
      ArrowDown: () => this.stepSpeed(-1),
      ArrowUp: () => this.stepSpeed(1),
      ",": () => seek(-frame),
      ".": () => seek(frame),
      Home: () => this.seek(0),
      End: () => this.seek(this.clock.seconds),
      f: () => this.setFollows(!this.stage.follows),
      l: () => this.setLoop(!this.loops),
      r: () => this.setScores(this.find("timeline").hidden),
      c: () => this.setMarks(!this.stage.showMarks),
      m: () => this.setMuted(!this.muted),
      d: () => switchTheme(),
      x: () => this.toggleFullScreen(),
      "?": () => this.setHelp(this.find("keys").hidden),
      Escape: () => this.setHelp(false),
    };
    VIEWS.forEach((_, view) => (acts[view + 1] = () => this.look(view)));
    const act = acts[event.key];
    if (!act || (event.key === "Escape" && this.find("keys").hidden)) return;
    event.preventDefault();
    act();
  }

  fillList(select, scenes) {
    select.replaceChildren(...scenes.map((scene, index) => new Option(scene.name, index)));
    select.hidden = scenes.length < 2;
  }

  async openScene(index, follower) {
    this.clock?.pause();
    const scene = this.data.scenes[Math.max(0, Math.min(index, this.data.scenes.length - 1))];
    this.opening = scene;
    this.find("scene").value = this.data.scenes.indexOf(scene);
    await unpack(scene, this.data.figure.parents);
    if (this.opening !== scene) return; // another one was asked for meanwhile
    this.scene = scene;
    const { followers } = scene;
    this.find("followers").replaceChildren(...followers.map((one, at) => this.followerButton(one, at)));
    this.find("followers").hidden = followers.length < 2;
    this.find("note").textContent = scene.note;
    this.troupe = null;
    this.choose(followers[Math.min(follower, followers.length - 1)] ?? null);
    const seconds = (this.troupe.frames - 1) / this.troupe.fps;
    this.clock = new DanceClock(seconds, this.soundOf(scene));
    this.clock.rate = Number(this.find("speed").value);
    this.find("scrub").max = seconds;
    this.find("sound").hidden = !scene.audio;
    this.setMuted(this.muted ?? false);
    this.showBeats(scene.beats, seconds);
  }

  followerButton(follower, index) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = follower.name;
    if (this.scene.together) {
      const look = index + (this.scene.leader ? 1 : 0);
      button.style.setProperty("--follower", `var(--dancer${look % COLOURS})`);
    }
    button.addEventListener("click", () => this.choose(this.scene.followers[index]));
    return button;
  }

  /** Dance with this follower from now on, or judge him where all dance; the music goes on. */
  choose(follower) {
    const first = !this.troupe;
    this.troupe = new Troupe(this.scene, follower);
    if (first || !this.scene.together) this.stage.show(this.troupe, !first);
    this.timeline.show(this.troupe, this.scene.beats);
    [...this.find("followers").children].forEach((button, index) => {
      button.setAttribute("aria-pressed", String(this.scene.followers[index] === follower));
    });
    this.find("legend").replaceChildren(...this.troupe.dancers.map((dancer) => this.legendOf(dancer)));
    this.shown = null;
  }

  legendOf(dancer) {
    const name = document.createElement("span");
    const dot = name.appendChild(document.createElement("i"));
    dot.style.background = `var(--dancer${dancer.look % COLOURS})`;
    const choice = !this.scene.together && this.scene.leader && this.scene.followers.length > 1 && dancer.look;
    const part = choice && this.scene.leader.name === "follower" ? "leader" : "follower";
    name.append(choice ? `${part}: ${dancer.name}` : dancer.name);
    return name;
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
    this.timeline.draw();
  }

  setLoop(loops) {
    this.loops = loops;
    this.find("loop").setAttribute("aria-pressed", String(loops));
  }

  setFollows(follows) {
    this.stage.setFollows(follows);
    this.shown = null;
    this.find("follow").setAttribute("aria-pressed", String(follows));
  }

  setScores(shown) {
    this.find("timeline").hidden = !shown;
    this.find("scores").setAttribute("aria-pressed", String(shown));
  }

  setHelp(shown) {
    this.find("keys").hidden = !shown;
    this.find("help").setAttribute("aria-expanded", String(shown));
  }

  look(view) {
    this.stage.look(view);
    this.root.dataset.view = VIEWS[this.stage.view].name;
  }

  stepSpeed(by) {
    const select = this.find("speed");
    select.selectedIndex = Math.max(0, Math.min(select.selectedIndex + by, select.length - 1));
    this.clock.setRate(Number(select.value));
  }

  toggleFullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.root.requestFullscreen?.();
  }

  /** Draw one picture, then ask for the next. */
  tick() {
    const time = this.clock.now();
    if (this.clock.playing && time >= this.clock.seconds) this.finish();
    const frame = time * this.troupe.fps;
    if (frame !== this.shown) {
      this.stage.pose(frame);
      this.shown = frame;
      this.showTime(time);
    }
    this.root.classList.toggle("playing", this.clock.playing);
    this.stage.draw();
    this.stage.watchSpeed(this.clock.playing);
    requestAnimationFrame(() => this.tick());
  }

  /** At the end start over, if that is wanted: a dance is short, and worth a second look. */
  finish() {
    this.clock.pause();
    if (!this.loops) return;
    this.clock.seek(0);
    this.clock.play();
  }

  showTime(time) {
    const scrub = this.find("scrub");
    scrub.value = time;
    scrub.style.setProperty("--done", `${(100 * time) / this.clock.seconds}%`);
    this.timeline.at(time * this.troupe.fps);
    this.find("time").textContent = `${clockFace(time)} / ${clockFace(this.clock.seconds)}`;
  }
}

function clockFace(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}.${Math.floor((seconds % 1) * 10)}`;
}

/** Start a player in every element of class `player`; each is followed by its data. */
async function startPlayers() {
  for (const root of document.querySelectorAll(".player")) {
    const data = JSON.parse(root.querySelector("script[type='application/json']").textContent);
    try {
      root.player = new Player(root, data);
      await root.player.open();
      root.dispatchEvent(new Event("ready"));
    } catch (error) {
      root.classList.add("failed"); // most likely a browser without WebGL
      console.error(error);
    }
  }
}

startPlayers();
