// The architectures, one function in a file of its own each; build.cpp has the table.
#pragma once
#include "models/builder.h"

namespace margay {

void build_llama(ModelBuilder& builder);
void build_phi2(ModelBuilder& builder);
void build_phi3(ModelBuilder& builder);
void build_qwen2(ModelBuilder& builder);
void build_qwen3(ModelBuilder& builder);
void build_gemma2(ModelBuilder& builder);

}  // namespace margay
