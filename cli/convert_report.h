// How convert, quantize and linearize tell what they wrote.
#pragma once
#include <string>

#include "cli/command.h"
#include "convert/target_type.h"
#include "convert/tensor_stream.h"

namespace margay {

// For people on standard error, or (json) one object on standard output with the keys file, type, tensors, fallbacks,
// bytes_before, bytes_after, seconds, notes and types: [{type, tensors, bytes, converted, rms_error, relative_error}].
void print_convert_report(const std::string& out, const ConvertReport& report, bool json);

// CLI11's check of a type's name: empty when it can be written, else what is wrong.
std::string check_type_name(const std::string& name);

// What both commands say about types, for --help.
extern const char* const kTypesHelp;

// --tensor-type PATTERN=TYPE, and what was given.
void add_tensor_types(CLI::App& app, std::vector<std::string>& texts);
std::vector<TensorType> tensor_types(const std::vector<std::string>& texts);

}  // namespace margay
