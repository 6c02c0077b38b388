"""A follower that dances while the leader still does: from a stream of poses and sound to poses."""
