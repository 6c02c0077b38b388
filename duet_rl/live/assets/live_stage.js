// Two dancers of round limbs on a floor, posed anew with every frame that comes. Needs THREE.

const FIELD_OF_VIEW = 32; // degrees
const FLOOR_RADIUS = 9; // m
const HEIGHT = 0.95; // m, where the camera looks
const BACK = [2.1, 0.95, 3.9]; // m from the couple to the camera at first
const LAZY = 0.04; // share of the way to the couple that the camera goes with each picture
const JOINT_NUMBERS = 165;
const UP = new THREE.Vector3(0, 1, 0);
const ALONG = new THREE.Vector3();

/** One dancer of a colour. */
class LiveDancer {
  constructor(figure, colour) {
    this.figure = figure;
    this.group = new THREE.Group();
    this.points = figure.points.map(() => new THREE.Vector3());
    const cloth = new THREE.MeshStandardMaterial({ color: colour, roughness: 0.55 });
    const skin = new THREE.MeshStandardMaterial({ color: new THREE.Color(colour).lerp(new THREE.Color("#fff"), 0.5), roughness: 0.5 });
    this.materials = { cloth, skin };
    this.limbs = null;
  }

  /** Take a pose: 165 numbers, metres. */
  pose(joints) {
    this.figure.points.forEach((weights, index) => {
      const point = this.points[index].set(0, 0, 0);
      for (const [joint, weight] of weights) {
        point.x += joints[3 * joint] * weight;
        point.y += joints[3 * joint + 1] * weight;
        point.z += joints[3 * joint + 2] * weight;
      }
    });
    this.limbs ??= this.build();
    for (const limb of this.limbs) {
      const { start, end, length } = limb.userData;
      limb.position.copy(this.points[start]);
      ALONG.subVectors(this.points[end], this.points[start]);
      const now = ALONG.length();
      if (now > 1e-6) limb.quaternion.setFromUnitVectors(UP, ALONG.divideScalar(now));
      limb.scale.y = now > 1e-6 ? now / length : 1;
    }
  }

  build() {
    return this.figure.limbs.map(([start, end, startRadius, endRadius, tint]) => {
      const length = Math.max(this.points[start].distanceTo(this.points[end]), 1e-6);
      const limb = new THREE.Mesh(limbShape(startRadius, endRadius, length), this.materials[tint === "skin" ? "skin" : "cloth"]);
      limb.castShadow = limb.receiveShadow = true;
      limb.userData = { start, end, length };
      this.group.add(limb);
      return limb;
    });
  }
}

/** The room: floor, light, camera, and the two. */
class LiveStage {
  constructor(canvas, figure) {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    this.renderer = new THREE.WebGLRenderer({ canvas, antialias: true, alpha: true });
    this.renderer.shadowMap.enabled = true;
    this.scene = new THREE.Scene();
    this.camera = new THREE.PerspectiveCamera(FIELD_OF_VIEW, 1, 0.1, 60);
    this.leader = new LiveDancer(figure, colour("--leader"));
    this.follower = new LiveDancer(figure, colour("--follower"));
    this.scene.add(this.leader.group, this.follower.group);
    this.sun = new THREE.DirectionalLight("#fff6ea", 2);
    this.sun.castShadow = true;
    this.sun.shadow.mapSize.set(1024, 1024);
    this.sun.shadow.bias = -0.0005;
    this.sun.shadow.normalBias = 0.02;
    Object.assign(this.sun.shadow.camera, { left: -3, right: 3, top: 3, bottom: -3, near: 0.5, far: 14 });
    this.scene.add(new THREE.HemisphereLight("#ffffff", "#8f97a8", 1.4), this.sun, this.sun.target);
    this.addFloor(colour("--ground"), colour("--line"));
    this.orbit = new THREE.OrbitControls(this.camera, canvas);
    this.orbit.enableDamping = true;
    this.orbit.minDistance = 1;
    this.orbit.maxDistance = 20;
    this.orbit.maxPolarAngle = Math.PI / 2 - 0.01; // stay above the floor
    this.middle = null;
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.resize();
  }

  addFloor(ground, line) {
    const disc = () => new THREE.CircleGeometry(FLOOR_RADIUS, 64).rotateX(-Math.PI / 2);
    const uniforms = { ground: { value: new THREE.Color(ground) }, line: { value: new THREE.Color(line) } };
    const look = { transparent: true, depthWrite: false, uniforms, vertexShader: VERTEX, fragmentShader: FRAGMENT };
    this.floor = new THREE.Mesh(disc(), new THREE.ShaderMaterial(look));
    this.shade = new THREE.Mesh(disc(), new THREE.ShadowMaterial({ transparent: true, depthWrite: false, opacity: 0.35 }));
    this.shade.receiveShadow = true;
    this.floor.renderOrder = -2;
    this.shade.renderOrder = -1;
    this.scene.add(this.floor, this.shade);
  }

  /** Pose both. */
  pose(leader, follower) {
    this.leader.pose(leader);
    this.follower.pose(follower);
    const middle = new THREE.Vector3((leader[0] + follower[0]) / 2, 0, (leader[2] + follower[2]) / 2);
    if (!this.middle || middle.distanceTo(this.middle) > 3) this.centre(middle);
    const step = middle.sub(this.middle).multiplyScalar(LAZY);
    this.middle.add(step);
    this.orbit.target.add(step);
    this.camera.position.add(step);
    this.floor.position.copy(this.middle);
    this.shade.position.copy(this.middle).setY(0.002);
    this.sun.target.position.copy(this.middle);
    this.sun.position.copy(this.middle).add(new THREE.Vector3(2.1, 6, 1.7));
  }

  /** Stand where the couple is in the picture. */
  centre(middle) {
    this.middle = (middle ?? this.middle ?? new THREE.Vector3()).clone();
    const far = Math.max(1, 1.05 / this.camera.aspect);
    this.orbit.target.set(this.middle.x, HEIGHT, this.middle.z);
    this.camera.position.copy(this.orbit.target).add(new THREE.Vector3(...BACK).multiplyScalar(far));
    this.orbit.update();
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.renderer.domElement;
    if (!width || !height) return;
    this.renderer.setPixelRatio(Math.min(window.devicePixelRatio, 2));
    this.renderer.setSize(width, height, false);
    this.camera.aspect = width / height;
    this.camera.updateProjectionMatrix();
    if (this.middle) this.centre();
  }

  draw() {
    this.orbit.update();
    this.renderer.render(this.scene, this.camera);
  }
}

const VERTEX = `
  varying vec2 place;
  varying vec2 off;
  void main() {
    vec4 world = modelMatrix * vec4(position, 1.0);
    place = world.xz;
    off = position.xz;
    gl_Position = projectionMatrix * viewMatrix * world;
  }`;
const FRAGMENT = `
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

/** A cone with round ends from the origin up to y = length. */
function limbShape(startRadius, endRadius, length) {
  const thin = Math.max(startRadius, endRadius) < 0.03;
  const [rings, sides] = thin ? [4, 10] : [8, 24];
  const lean = Math.asin(Math.max(-1, Math.min(1, (startRadius - endRadius) / length)));
  const profile = [];
  for (let ring = 0; ring <= rings; ring++) {
    const angle = -Math.PI / 2 + ((lean + Math.PI / 2) * ring) / rings;
    profile.push(new THREE.Vector2(Math.max(startRadius * Math.cos(angle), 0), startRadius * Math.sin(angle)));
  }
  for (let ring = 0; ring <= rings; ring++) {
    const angle = lean + ((Math.PI / 2 - lean) * ring) / rings;
    profile.push(new THREE.Vector2(Math.max(endRadius * Math.cos(angle), 0), length + endRadius * Math.sin(angle)));
  }
  return new THREE.LatheGeometry(profile, sides);
}
