// What a model holds, in other programs' forms. Read again, each gives the same bits.
#pragma once
#include <string>
#include <vector>

#include "models/lora.h"

namespace margay {

// A linearized model's feature maps and window factors under the reference's keys (model.layers.N.self_attn...), and
// `adapters`' LoRA as PEFT names it: safetensors, float32. Throws Error for a softmax model.
void export_lolcats(const GgufFile& model, const std::vector<LoraFile>& adapters, const std::string& out);

// An adapter for a model of `config` as a GGUF adapter, or as a PEFT folder, which is made where it is not there.
// Throws Error where its pairs differ in scale: both forms have one alpha for all.
void export_gguf_lora(const LoraAdapter& adapter, const ModelConfig& config, const std::string& out);
void export_peft(const LoraAdapter& adapter, const ModelConfig& config, const std::string& folder);

// A Hugging Face folder: config.json, model.safetensors, tokenizer.json and its settings. F32, F16 and BF16 weights keep
// their type, quantized ones become float32. A linearized model's maps go beside them as lolcats.safetensors. Throws
// Error for an architecture or a tokenizer that cannot be written.
void export_huggingface(const GgufFile& model, const std::string& folder);

}  // namespace margay
