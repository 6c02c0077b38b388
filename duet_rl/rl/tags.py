"""Names, as in TensorBoard, of numbers that more than one part of RL speaks of."""

from duet_rl.run_log import LEFT as LEFT

HEALTHY = "healthy_runners"  # alive now
RESTARTS = "restarts"  # of lost runners, so far, all together
STEPS_PER_SECOND = "steps_per_second"  # token steps learned from, over the whole iteration
ITERATION_SECONDS = "seconds/iteration"
