// A dancer of the 3D scene, made of round limbs. Needs THREE.

const COLOURS = 6; // of dancers, --dancer0 and on in the style sheet; then they begin anew
const SKIN_LIGHTNESS = 0.52; // how far head and hands go from the dancer's colour to white

const UP = new THREE.Vector3(0, 1, 0);
const AXIS = new THREE.Vector3();
const WHITE = new THREE.Color("#ffffff");

/** One dancer: limbs as meshes, and marks under planted feet and around touching hands. */
class Dancer {
  constructor(figure, place) {
    this.figure = figure;
    this.number = place; // of its colour
    this.height = 0.004 + 0.001 * place; // m, of the marks under the feet: never two in one plane
    this.group = new THREE.Group();
    this.points = figure.points.map(() => new THREE.Vector3());
    this.cloth = new THREE.MeshStandardMaterial({ roughness: 0.55 });
    this.skin = new THREE.MeshStandardMaterial({ roughness: 0.5 });
    this.limbs = [];
    this.feet = [0, 1].map(() => this.addMark(new THREE.CircleGeometry(0.13, 40).rotateX(-Math.PI / 2)));
    this.palms = [0, 1].map(() => this.addMark(new THREE.SphereGeometry(0.075, 24, 16)));
  }

  addMark(geometry) {
    const material = new THREE.MeshBasicMaterial({ transparent: true, depthWrite: false, opacity: 0 });
    const mark = new THREE.Mesh(geometry, material);
    this.group.add(mark);
    return mark;
  }

  /** Build the limbs as long as they are in these joints; bones keep their length. */
  shape(joints) {
    this.limbs.forEach((limb) => {
      this.group.remove(limb);
      limb.geometry.dispose();
    });
    this.place(joints);
    this.limbs = this.figure.limbs.map(([start, end, startRadius, endRadius, tint]) => {
      const length = this.points[start].distanceTo(this.points[end]);
      const limb = new THREE.Mesh(roundCone(startRadius, endRadius, length), tint === "skin" ? this.skin : this.cloth);
      limb.castShadow = limb.receiveShadow = true;
      limb.userData = { start, end, length: Math.max(length, 1e-6) };
      this.group.add(limb);
      return limb;
    });
  }

  place(joints) {
    this.figure.points.forEach((weights, index) => weighted(joints, weights, this.points[index]));
  }

  /** Take the pose of one frame. `marks` holds feet and palms, 0 to 1 each. */
  pose(joints, marks, showMarks) {
    this.place(joints);
    for (const limb of this.limbs) {
      const { start, end, length } = limb.userData;
      limb.position.copy(this.points[start]);
      AXIS.subVectors(this.points[end], this.points[start]);
      const now = AXIS.length();
      if (now > 1e-6) limb.quaternion.setFromUnitVectors(UP, AXIS.divideScalar(now));
      limb.scale.y = now > 1e-6 ? now / length : 1;
    }
    this.feet.forEach((mark, side) => {
      weighted(joints, this.figure.feet[side], mark.position);
      mark.position.y = this.height;
      mark.material.opacity = showMarks ? 0.3 * marks.feet[side] : 0;
    });
    this.palms.forEach((mark, side) => {
      weighted(joints, this.figure.palms[side], mark.position);
      mark.material.opacity = showMarks ? 0.42 * marks.palms[side] : 0;
    });
  }

  /** Take the colour of this number, and the mark of touching hands that of the style sheet. */
  paint(style, number) {
    this.number = number;
    this.cloth.color.set(style.getPropertyValue(`--dancer${number % COLOURS}`).trim());
    this.skin.color.copy(this.cloth.color).convertLinearToSRGB().lerp(WHITE, SKIN_LIGHTNESS).convertSRGBToLinear();
    this.feet.forEach((mark) => mark.material.color.copy(this.cloth.color));
    this.palms.forEach((mark) => mark.material.color.set(style.getPropertyValue("--touch").trim()));
  }
}

/** Put the weighted sum of joints into `out`; `weights` is [[joint, weight], ...]. */
function weighted(joints, weights, out) {
  out.set(0, 0, 0);
  for (const [joint, weight] of weights) {
    out.x += joints[3 * joint] * weight;
    out.y += joints[3 * joint + 1] * weight;
    out.z += joints[3 * joint + 2] * weight;
  }
  return out;
}

/** A cone with round ends from the origin up to y = length: the hull of two balls. */
function roundCone(startRadius, endRadius, length) {
  const thin = Math.max(startRadius, endRadius) < 0.03;
  const [rings, sides] = thin ? [4, 10] : [8, 24];
  const lean = Math.max(-1, Math.min(1, (startRadius - endRadius) / Math.max(length, 1e-6)));
  const edge = Math.asin(lean); // above the equator of both balls begins the cone's side
  const profile = [];
  for (let ring = 0; ring <= rings; ring++) {
    const angle = -Math.PI / 2 + ((edge + Math.PI / 2) * ring) / rings;
    profile.push([startRadius * Math.cos(angle), startRadius * Math.sin(angle)]);
  }
  for (let ring = 0; ring <= rings; ring++) {
    const angle = edge + ((Math.PI / 2 - edge) * ring) / rings;
    profile.push([endRadius * Math.cos(angle), length + endRadius * Math.sin(angle)]);
  }
  return new THREE.LatheGeometry(
    profile.map(([x, y]) => new THREE.Vector2(Math.max(x, 0), y)),
    sides,
  );
}
