/* Arrays in which a word line is one node: bit lines are eliminated, each a chain of wires with a device at each node. */
#ifndef NEUROEMU_WIRES_RIGID_H
#define NEUROEMU_WIRES_RIGID_H

#include "_wires_panels.h"

#define WIRES_CHAINS 8 /* bit lines that go together, so that the sums are read and written once for all of them */

typedef struct { double device, rest; } wires_device; /* conductance = device / rest, one of them is 1 */

WIRES_INLINE wires_device wires_split(double g)
{
    wires_device d = {g > 1 ? 1 : g, g > 1 ? 1 / g : 1};
    return d;
}

/* One bit line of n devices. lift[i]: voltage of its node i for 1 V at word line i, the others at 0 V. pass[i]: node i
 * follows node i + 1 by this factor; draw[i]: siemens from node i + 1 to word line i. sensed[i] is added up: T. */
static void wires_chain(const double *g, ptrdiff_t columns, ptrdiff_t n, double bit, double bottom, double top,
                        double *sensed, double *lift, double *pass, double *draw, double *down)
{
    double up = top, leak = bottom;
    for (ptrdiff_t i = n - 1; i >= 0; i--) {
        const wires_device d = wires_split(g[i * columns]);
        down[i] = leak;
        leak = bit * (leak * d.rest + d.device) / (d.device + (leak + bit) * d.rest);
    }
    double to_top = top;
    for (ptrdiff_t i = 0; i < n; i++) {
        const wires_device d = wires_split(g[i * columns]);
        const double all = d.device + (up + down[i]) * d.rest, inverse = 1 / (d.device + (up + bit) * d.rest);
        lift[i] = all > 0 ? d.device / all : 0;
        pass[i] = bit * d.rest * inverse;
        draw[i] = bit * d.device * inverse;
        up = bit * (up * d.rest + d.device) * inverse;
        sensed[i * columns] = lift[i] * to_top;
        to_top *= pass[i];
    }
    double to_bottom = bottom;
    for (ptrdiff_t i = n - 1; i >= 0; i--) {
        const wires_device d = wires_split(g[i * columns]);
        sensed[i * columns] += lift[i] * to_bottom;
        to_bottom *= bit * d.rest / (d.device + (bit + down[i]) * d.rest);
    }
}

/* t (rows, columns): siemens between word line i and the sense amplifiers of bit line j. c (rows, rows) or NULL:
 * siemens between two word lines, in its lower half. work: (3 * 8 + 9) doubles a row. */
static void wires_chains(const double *g, ptrdiff_t rows, ptrdiff_t columns, double bit, const double *bottom,
                         const double *top, double *t, double *c, double *work)
{
    double *lift = work, *pass = lift + WIRES_CHAINS * rows, *draw = pass + WIRES_CHAINS * rows;
    double *down = draw + WIRES_CHAINS * rows, *weight = down + rows;
    for (ptrdiff_t j = 0; j < columns; j += WIRES_CHAINS) {
        const ptrdiff_t count = columns - j < WIRES_CHAINS ? columns - j : WIRES_CHAINS;
        for (ptrdiff_t k = 0; k < count; k++)
            wires_chain(g + j + k, columns, rows, bit, bottom[j + k], top[j + k], t + j + k, lift + k * rows,
                        pass + k * rows, draw + k * rows, down);
        if (!c) continue;
        for (ptrdiff_t i = 0; i < rows; i++) {
            double *row = c + i * rows;
            for (ptrdiff_t k = 0; k < count; k++) {
                double *w = weight + k * rows;
                const double a = lift[k * rows + i], b = pass[k * rows + i];
                for (ptrdiff_t other = 0; other < i; other++) {
                    row[other] += a * w[other];
                    w[other] *= b;
                }
                w[i] = draw[k * rows + i];
            }
        }
    }
}

#endif
