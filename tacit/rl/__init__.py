"""Learning from one's own answers: questions are answered several times, the answers are judged, the better ones reinforced."""
