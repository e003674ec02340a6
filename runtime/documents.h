// Texts that a model writes by itself: data to linearize it with when there is no other.
#pragma once
#include <cstdint>
#include <functional>
#include <string>

#include "models/model.h"
#include "runtime/sampler.h"
#include "runtime/session.h"

namespace margay {

struct DocumentOptions {
  int64_t documents = 1, tokens = 1024;  // tokens sampled for each document
  int64_t batch = 16;                    // documents side by side: it reads the weights once for all of them
  SamplerOptions sampler;                // document n draws from stream n of its seed
};

// Samples documents from the token that begins a text on. After the end of a text another one begins in the same
// document, a blank line later. `emit` receives the documents in order; `progress` the tokens sampled since its last
// call (it may throw to stop). Throws Error where the model has no token to begin with.
void sample_documents(const Model& model, Team& team, const DocumentOptions& options,
                      const std::function<void(const std::string& text)>& emit,
                      const std::function<void(int64_t tokens)>& progress);

}  // namespace margay
