"""The body: skeleton, rotations, kinematics, motion, and what touches what."""
