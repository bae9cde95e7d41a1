"""The smoothed classifier: its votes, its noise, PREDICT and CERTIFY."""
