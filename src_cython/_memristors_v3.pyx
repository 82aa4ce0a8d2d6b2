include "_memristors.pxi"
