"""Names, as in TensorBoard, of numbers that more than one part of RL speaks of."""

HEALTHY = "healthy_runners"  # alive now
RESTARTS = "restarts"  # of lost runners, so far, all together
STEPS_PER_SECOND = "steps_per_second"  # token steps learned from, over the whole iteration
ITERATION_SECONDS = "seconds/iteration"
LEFT = "seconds/left"  # s until the last iteration, if all go on as so far
