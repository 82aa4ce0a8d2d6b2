/* Steps of the neurons in REAL; see _floating.h, which includes this twice. */

typedef struct {
    const REAL *table; /* (FL_ROWS, n) */
    int64_t n;
    int32_t rule, spikes, early, subtract;
    const fl_dense *loop; /* weights from the neurons to themselves, or NULL */
    const float *loop_bias;
    const int32_t *place; /* where each neuron stands in a line of outputs, or NULL: in order */
} NAME(neurons);

/* One step of all neurons of an image. `rule` and the flags are constants where this is inlined. */
EV_INLINE void NAME(update)(const NAME(neurons) *l, const REAL *restrict x, REAL *restrict v, REAL *restrict current,
                            uint8_t *restrict fired, int rule, int spikes, int early, int subtract)
{
    const int64_t n = l->n;
    const REAL *restrict leak = l->table + FL_LEAK * n, *restrict decay = l->table + FL_DECAY * n;
    const REAL *restrict gain = l->table + FL_GAIN * n, *restrict keep = l->table + FL_SYNAPSE_DECAY * n;
    const REAL *restrict into = l->table + FL_SYNAPSE_GAIN * n, *restrict share = l->table + FL_SHARE * n;
    const REAL *restrict r = l->table + FL_R * n, *restrict threshold = l->table + FL_THRESHOLD * n;
    const REAL *restrict reset = l->table + FL_RESET * n;
    for (int64_t i = 0; i < n; i++) {
        const REAL old = v[i];
        REAL now;
        if (rule == FL_INTEGRATE) {
            now = old + gain[i] * x[i];
        } else if (rule == FL_LEAKY) {
            now = leak[i] + decay[i] * (old - leak[i]) + gain[i] * x[i];
        } else if (rule == FL_STEPWISE) {
            const REAL c = keep[i] * current[i] + into[i] * x[i];
            now = leak[i] + decay[i] * (old - leak[i]) + gain[i] * c;
            current[i] = c;
        } else {
            const REAL target = into[i] * x[i], above = current[i] - target;
            now = leak[i] + decay[i] * (old - leak[i]) + r[i] * (gain[i] * target + share[i] * above);
            current[i] = target + keep[i] * above;
        }
        if (spikes) {
            const int fires = (early ? old : now) > threshold[i];
            const REAL after = subtract ? now - reset[i] : reset[i];
            now = fires ? after : now;
            fired[i] = (uint8_t)fires;
        }
        v[i] = now;
    }
}

#define FL_SPIKING(RULE)                                                                                    \
    if (!l->spikes) NAME(update)(l, x, v, current, fired, RULE, 0, 0, 0);                                   \
    else if (l->early && l->subtract) NAME(update)(l, x, v, current, fired, RULE, 1, 1, 1);                 \
    else if (l->early) NAME(update)(l, x, v, current, fired, RULE, 1, 1, 0);                                \
    else if (l->subtract) NAME(update)(l, x, v, current, fired, RULE, 1, 0, 1);                             \
    else NAME(update)(l, x, v, current, fired, RULE, 1, 0, 0);                                              \
    break
static void NAME(step)(const NAME(neurons) *l, const REAL *x, REAL *v, REAL *current, uint8_t *fired)
{
    switch (l->rule) {
    case FL_INTEGRATE: FL_SPIKING(FL_INTEGRATE);
    case FL_LEAKY: FL_SPIKING(FL_LEAKY);
    case FL_STEPWISE: FL_SPIKING(FL_STEPWISE);
    default: FL_SPIKING(FL_COUPLED);
    }
}
#undef FL_SPIKING

/* x = what arrives in one step: what the outputs of the last step bring, plus its bias, plus the drive. Returns the
   additions that the loop made. */
static int64_t NAME(arrive)(const NAME(neurons) *l, const fl_lines *drive, int64_t m, const fl_lines *last,
                            int64_t image, int32_t *events, REAL *values, REAL *x)
{
    const char *line = fl_line(drive, m);
    if (!l->loop) {
        if (drive->kind == 1)
            for (int64_t i = 0; i < l->n; i++) x[i] = (REAL)((const float *)line)[i];
        else
            for (int64_t i = 0; i < l->n; i++) x[i] = (REAL)((const double *)line)[i];
        return 0;
    }
    int32_t ones;
    const int64_t found = NAME(list)(last, image, events, values, &ones);
    for (int64_t p = 0; p < l->loop->count; p++)
        NAME(panel)(l->loop, p, events, ones ? NULL : values, found, x + p * l->loop->width);
    for (int64_t i = 0; i < l->n; i++) {
        const REAL looped = l->loop_bias ? x[i] + (REAL)l->loop_bias[i] : x[i];
        x[i] = looped + (drive->kind == 1 ? (REAL)((const float *)line)[i] : (REAL)((const double *)line)[i]);
    }
    return found * l->n;
}

/* Few neurons spike: the places of the others are cleared in one go. */
EV_INLINE void NAME(write_spikes)(const uint8_t *fired, const int32_t *place, int64_t n, int32_t *events, uint8_t *out)
{
    if (!place) {
        memcpy(out, fired, (size_t)n);
        return;
    }
    const int64_t found = ev_list(fired, n, events);
    memset(out, 0, (size_t)n);
    for (int64_t k = 0; k < found; k++) out[place[events[k]]] = 1;
}

EV_INLINE void NAME(write_values)(const REAL *v, const int32_t *place, int64_t n, REAL *out)
{
    if (!place) memcpy(out, v, (size_t)n * sizeof(REAL));
    else
        for (int64_t i = 0; i < n; i++) out[place[i]] = v[i];
}

/* All steps of all images. v, current and last are (images, n), in and out; `out` and `trace` are lines of outputs and
   of potentials, or have data NULL; last holds bytes of neurons that spike, else REAL.
   Returns the additions that a loop made, or -1 without memory. */
static int64_t NAME(run)(const NAME(neurons) *l, const fl_lines *drive, REAL *v, REAL *current, const fl_lines *last,
                     const fl_lines *out, const fl_lines *trace)
{
    const int64_t n = l->n, room = n + EV_PAD;
    REAL *x = malloc((size_t)(2 * room) * sizeof(REAL)), *values = x + room;
    int32_t *events = malloc((size_t)room * sizeof(int32_t));
    uint8_t *fired = malloc((size_t)room);
    int64_t made = x && events && fired ? 0 : -1;
    for (int64_t m = 0; made >= 0 && m < drive->lines; m++) {
        const int64_t image = m % drive->images;
        REAL *own = v + image * n;
        made += NAME(arrive)(l, drive, m, last, image, events, values, x);
        NAME(step)(l, x, own, current ? current + image * n : NULL, fired);
        if (last->data && l->spikes) memcpy((char *)fl_line(last, image), fired, (size_t)n);
        else if (last->data) memcpy((char *)fl_line(last, image), own, (size_t)n * sizeof(REAL));
        if (l->spikes) NAME(write_spikes)(fired, l->place, n, events, (uint8_t *)fl_line(out, m));
        else NAME(write_values)(own, l->place, n, (REAL *)fl_line(out, m));
        if (trace->data) NAME(write_values)(own, l->place, n, (REAL *)fl_line(trace, m));
    }
    free(x);
    free(events);
    free(fired);
    return made;
}
