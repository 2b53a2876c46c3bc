"""Learning from one's own answers: questions are answered several times, the answers judged, the better ones made likelier."""
