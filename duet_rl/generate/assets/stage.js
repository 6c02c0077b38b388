// The 3D scene: dancers, a floor, light and shadow. Needs THREE and dancer.js; knows no sound.

const LOOK = {
  light: {
    ground: "#dfe3eb",
    line: "#b9c1cf",
    shadow: 0.3,
    sky: 1.45,
    sun: 2.0,
  },
  dark: {
    ground: "#20242e",
    line: "#3b4252",
    shadow: 0.55,
    sky: 0.95,
    sun: 1.9,
  },
};
const FLOOR_RADIUS = 9; // m
const FIELD_OF_VIEW = 32; // degrees
const VIEWS = [
  // What the keys 1 to 4 are: name, and where the camera stands, rad round from +Z and up
  { name: "from the corner", azimuth: 0.49, elevation: 0.23 },
  { name: "from the front", azimuth: 0, elevation: 0.1 },
  { name: "from the side", azimuth: Math.PI / 2, elevation: 0.1 },
  { name: "from above", azimuth: 0, elevation: 1.45 },
];
const MARGIN = 0.88; // share of the picture that the dancers may fill
// From fine to fast: most pixels drawn for each one of the page, and whether there are shadows.
const QUALITIES = [
  { pixels: 2, shadows: true },
  { pixels: 1, shadows: true },
  { pixels: 0.7, shadows: false },
];
const [SHADOW_MARGIN, SHADOW_LEAST] = [0.4, 1.8]; // m beyond the dancers, and around the centre at least
const FOLLOW_SECONDS = 1.0; // how lazily the camera goes after the dancers
const REACH_SECONDS = 1.5; // and comes nearer or goes back
const SLOW_SECONDS = 0.045; // for one picture; slower ones make the player draw less finely
const PATIENCE = 12; // pictures that are looked at before that

/** The scene that holds the dancers, and the camera that a person turns around them. */
class Stage {
  constructor(canvas, figure, calm) {
    this.figure = figure;
    this.renderer = new THREE.WebGLRenderer({ canvas, antialias: true, alpha: true });
    this.quality = 0;
    this.renderer.shadowMap.enabled = true;
    this.renderer.shadowMap.type = THREE.VSMShadowMap;
    this.scene = new THREE.Scene();
    this.camera = new THREE.PerspectiveCamera(FIELD_OF_VIEW, 1, 0.1, 60);
    this.dancers = [];
    this.addLight();
    this.addFloor();
    this.addControls(canvas, calm);
    this.showMarks = true;
    this.follows = !calm; // whether the camera goes with the dancers
    this.view = 0;
    this.centre = new THREE.Vector3();
    this.reach = { across: 1, up: 1 };
    this.touched = false; // whether a person has moved the camera
    this.stale = true;
  }

  addLight() {
    this.sky = new THREE.HemisphereLight("#ffffff", "#8f97a8", 1);
    this.sun = new THREE.DirectionalLight("#fff6ea", 2);
    this.sun.castShadow = true;
    this.sun.shadow.mapSize.set(1024, 1024);
    this.sun.shadow.radius = 5;
    this.sun.shadow.blurSamples = 8;
    this.sun.shadow.bias = -0.0004;
    this.sun.shadow.normalBias = 0.02;
    Object.assign(this.sun.shadow.camera, { near: 0.5, far: 14 });
    this.rim = new THREE.DirectionalLight("#cfdcff", 0.6);
    this.scene.add(this.sky, this.sun, this.sun.target, this.rim, this.rim.target);
  }

  /** Let shadows fall so far around the centre, metres. */
  lightUp(across) {
    const side = Math.max(across + SHADOW_MARGIN, SHADOW_LEAST);
    Object.assign(this.sun.shadow.camera, { left: -side, right: side, top: side, bottom: -side });
    this.sun.shadow.camera.updateProjectionMatrix();
  }

  addFloor() {
    const disc = () => new THREE.CircleGeometry(FLOOR_RADIUS, 64).rotateX(-Math.PI / 2);
    this.floor = new THREE.Mesh(
      disc(),
      new THREE.ShaderMaterial({
        transparent: true,
        depthWrite: false,
        uniforms: { ground: { value: new THREE.Color() }, line: { value: new THREE.Color() } },
        vertexShader: FLOOR_VERTEX,
        fragmentShader: FLOOR_FRAGMENT,
      }),
    );
    this.shade = new THREE.Mesh(disc(), new THREE.ShadowMaterial({ transparent: true, depthWrite: false }));
    this.shade.receiveShadow = true;
    this.shade.position.y = 0.002;
    this.floor.renderOrder = -2;
    this.shade.renderOrder = -1;
    this.scene.add(this.floor, this.shade);
  }

  addControls(canvas, calm) {
    this.orbit = new THREE.OrbitControls(this.camera, canvas);
    this.orbit.enableDamping = !calm;
    this.orbit.dampingFactor = 0.12;
    this.orbit.minDistance = 1;
    this.orbit.maxDistance = 20;
    this.orbit.maxPolarAngle = Math.PI / 2 - 0.01; // stay above the floor
    this.orbit.addEventListener("start", () => (this.touched = true));
    canvas.addEventListener("dblclick", () => this.frame());
  }

  /** Take the colours of a theme: "light" or "dark". */
  paint(theme) {
    const look = LOOK[theme];
    this.style = getComputedStyle(this.renderer.domElement);
    this.dancers.forEach((dancer) => dancer.paint(this.style, dancer.number));
    this.floor.material.uniforms.ground.value.set(look.ground);
    this.floor.material.uniforms.line.value.set(look.line);
    this.shade.material.opacity = look.shadow;
    this.sky.intensity = look.sky;
    this.sun.intensity = look.sun;
    this.stale = true;
  }

  /** Have at least so many dancers. */
  invite(count) {
    while (this.dancers.length < count) {
      this.dancers.push(new Dancer(this.figure, this.dancers.length));
      this.scene.add(this.dancers.at(-1).group);
    }
  }

  /** Show these dancers from now on. */
  show(troupe, keepCamera) {
    this.troupe = troupe;
    this.invite(troupe.dancers.length);
    this.dancers.forEach((dancer, place) => {
      const shown = troupe.dancers[place];
      dancer.group.visible = shown !== undefined;
      if (!shown) return;
      dancer.shape(shown.track.at(0));
      dancer.paint(this.style, shown.look);
    });
    this.aim(keepCamera);
  }

  /** Find where to look, at the dancers or at the whole of their way. */
  aim(keepCamera) {
    this.path = this.follows ? this.troupe.path(FOLLOW_SECONDS) : this.troupe.stillPath();
    this.reaches = this.troupe.reach(this.path, REACH_SECONDS);
    const most = farthest(this.reaches);
    if (!this.follows) this.reaches.fill(most);
    this.lightUp(most.across);
    if (!keepCamera) {
      this.reach = this.reaches[0];
      this.frame(this.troupe.at(this.path, 0));
    }
    this.stale = true;
  }

  /** Let the camera go with the dancers, or stand where it sees all of the dance. */
  setFollows(follows) {
    this.follows = follows;
    if (this.troupe) this.aim(false);
  }

  /** Look from one of VIEWS. */
  look(view) {
    this.view = view % VIEWS.length;
    this.frame();
  }

  /** Stand where everybody is in the picture. */
  frame(centre) {
    if (centre) this.centre.fromArray(centre);
    const { azimuth, elevation } = VIEWS[this.view];
    const distance = this.distance(this.reach);
    const flat = Math.cos(elevation);
    const back = new THREE.Vector3(flat * Math.sin(azimuth), Math.sin(elevation), flat * Math.cos(azimuth));
    this.orbit.target.copy(this.centre);
    this.camera.position.copy(this.centre).addScaledVector(back, distance);
    this.touched = false;
    this.orbit.update();
    this.stale = true;
  }

  /** Return from how far away a reach around the centre is in the picture, metres. */
  distance({ across, up }) {
    const { elevation } = VIEWS[this.view];
    const half = Math.tan((this.camera.fov * Math.PI) / 360) * MARGIN;
    const tall = Math.cos(elevation) * up + Math.sin(elevation) * across;
    return 0.6 * across + Math.max(tall / half, across / (half * this.camera.aspect));
  }

  /** Come nearer or go back as the dancers come together or part; keep what a person has zoomed. */
  approach(reach) {
    const [before, after] = [this.distance(this.reach), this.distance(reach)];
    this.reach = reach;
    if (before === after) return;
    AXIS.subVectors(this.camera.position, this.orbit.target).multiplyScalar(after / before);
    this.camera.position.copy(this.orbit.target).add(AXIS);
  }

  /** Pose everybody as they are at `frame` (a fraction lies between two frames). */
  pose(frame) {
    this.troupe.dancers.forEach(({ track, marks }, place) => {
      this.dancers[place].pose(track.at(frame), marks.at(frame), this.showMarks);
    });
    this.moveTo(this.troupe.at(this.path, frame));
    this.approach(this.reaches[Math.max(0, Math.min(Math.round(frame), this.reaches.length - 1))]);
  }

  /** Take camera, light and floor along to [x, y, z], where the dancers are now. */
  moveTo(place) {
    AXIS.fromArray(place).sub(this.centre);
    this.centre.add(AXIS);
    this.orbit.target.add(AXIS);
    this.camera.position.add(AXIS);
    this.sun.target.position.copy(this.centre).setY(0);
    this.sun.position.copy(this.sun.target.position).add(SUN);
    this.rim.target.position.copy(this.centre);
    this.rim.position.copy(this.centre).add(RIM);
    this.floor.position.set(this.centre.x, 0, this.centre.z);
    this.shade.position.set(this.centre.x, 0.002, this.centre.z);
    this.stale = true;
  }

  /** Make the drawing lighter when this machine cannot keep up with what moves. */
  watchSpeed(moving) {
    const now = performance.now() / 1000;
    if (!moving || !this.watched) this.watched = { since: now, pictures: 0 };
    this.watched.pictures += 1;
    if (this.watched.pictures <= PATIENCE) return;
    const slow = (now - this.watched.since) / PATIENCE > SLOW_SECONDS;
    this.watched = null;
    if (slow) this.lighten();
  }

  /** Draw less finely from now on; return whether that was possible. */
  lighten() {
    if (this.quality === QUALITIES.length - 1) return false;
    this.quality += 1;
    this.sun.castShadow = QUALITIES[this.quality].shadows;
    this.resize();
    return true;
  }

  resize() {
    const canvas = this.renderer.domElement;
    const { clientWidth: width, clientHeight: height } = canvas.parentElement;
    if (!width || !height) return;
    this.renderer.setPixelRatio(Math.min(window.devicePixelRatio, QUALITIES[this.quality].pixels));
    this.renderer.setSize(width, height, false);
    this.camera.aspect = width / height;
    this.camera.updateProjectionMatrix();
    if (!this.touched) this.frame();
    this.stale = true;
  }

  /** Draw, if anything has changed since the last time. */
  draw() {
    if (this.orbit.update() || this.stale) this.renderer.render(this.scene, this.camera);
    this.stale = false;
  }
}

const SUN = new THREE.Vector3(2.1, 6, 1.7);
const RIM = new THREE.Vector3(-3, 2, -3);

const FLOOR_VERTEX = `
  varying vec2 place;
  varying vec2 off;
  void main() {
    vec4 world = modelMatrix * vec4(position, 1.0);
    place = world.xz;
    off = position.xz;
    gl_Position = projectionMatrix * viewMatrix * world;
  }`;
const FLOOR_FRAGMENT = `
  uniform vec3 ground;
  uniform vec3 line;
  varying vec2 place;
  varying vec2 off;
  void main() {
    vec2 cell = place * 2.0; // a line every half metre
    vec2 away = abs(fract(cell - 0.5) - 0.5);
    vec2 width = max(fwidth(cell), vec2(0.022));
    vec2 cover = (1.0 - min(away / width, 1.0)) * 0.022 / width;
    float share = exp(-dot(off, off) / ${((FLOOR_RADIUS * 0.5) ** 2).toFixed(2)});
    gl_FragColor = vec4(mix(ground, line, max(cover.x, cover.y)), share);
    #include <colorspace_fragment>
  }`;

/** Return the reach that holds all `reaches`. */
function farthest(reaches) {
  const most = (name) => reaches.reduce((value, reach) => Math.max(value, reach[name]), 0);
  return { across: most("across"), up: most("up") };
}
