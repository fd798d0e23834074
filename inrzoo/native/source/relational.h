// What both parts of a layer of the relational transformer share; see encoders/relational_transformer.py. Edges of an
// INR are N² rows of EDGE numbers, those that leave a node one after the other: they are served node by node.
#pragma once
#include "products.h"
#include "shape.h"  // EDGE, ATTENTION, HEADS, HIDDEN: all but HEADS multiples of UNIT

INLINE Vector &at(float *row, int i) { return *(Vector *)(row + i); }
INLINE const Vector &at(const float *row, int i) { return *(const Vector *)(row + i); }

// Serves the INRs `first`, …, `last` - 1.
template <class Worker, class Job> INLINE void serve(Worker worker, const Job *job, int first, int last) {
    for (int inr = first; inr < last; inr++)
        if (job->upstream)
            worker.backward(inr);
        else
            worker.forward(inr);
}
