#pragma once
#include "models/builder.h"

namespace margay {

void build_llama(ModelBuilder& builder);

}  // namespace margay
