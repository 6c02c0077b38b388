"""The body: skeleton, rotations, kinematics, motion, and the files that hold them."""
