// Every type of blocks, for code that is one template over them. C headers only.
#pragma once
#include "base/dtype.h"
#include "ops/quant/iq4_xs.h"
#include "ops/quant/q2_k.h"
#include "ops/quant/q3_k.h"
#include "ops/quant/q4_0.h"
#include "ops/quant/q4_1.h"
#include "ops/quant/q5_1.h"
#include "ops/quant/q5_k.h"
#include "ops/quant/q6_k.h"
#include "ops/quant/q8_0.h"

// X(type): its struct is Block<type>. The types of levels.h, and all.
#define MARGAY_LEVEL_TYPES(X) X(Q4_1) X(Q5_0) X(Q5_1) X(Q2_K) X(Q3_K) X(Q4_K) X(Q5_K) X(Q6_K) X(IQ4_NL) X(IQ4_XS)
#define MARGAY_BLOCK_TYPES(X) MARGAY_LEVEL_TYPES(X) X(Q8_0) X(Q4_0)
