include "_events.pxi"
