// What both parts of a layer of the relational transformer share; see encoders/relational_transformer.py. Edges of an
// INR are N² rows of EDGE numbers, those that leave a node one after the other: they are served node by node.
#pragma once
#include "products.h"
#include "shape.h"  // EDGE, ATTENTION, HEADS, HIDDEN: all but HEADS multiples of UNIT

INLINE Vector &at(float *row, int i) { return *(Vector *)(row + i); }
INLINE const Vector &at(const float *row, int i) { return *(const Vector *)(row + i); }
