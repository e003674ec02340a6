// How convert, quantize and linearize tell what they wrote.
#pragma once
#include <string>

#include "cli/command.h"
#include "convert/target_jobs.h"

namespace margay {

// For people on standard error (with a line for each tensor where `per_tensor`), or (json) one object on standard output
// with the keys file, type, tensors, fallbacks, bytes_before, bytes_after, seconds, notes,
// types: [{type, tensors, bytes, converted, rms_error, relative_error}] and
// errors: [{tensor, from, to, bytes, rms_error, relative_error}], of the tensors whose type changed.
void print_convert_report(const std::string& out, const ConvertReport& report, bool json, bool per_tensor = false);

// CLI11's check of a type's name: empty when it can be written, else what is wrong.
std::string check_type_name(const std::string& name);

// What both commands say about types, for --help.
extern const char* const kTypesHelp;

// --tensor-type PATTERN=TYPE, --imatrix FILE and --per-tensor, and what was given.
struct TargetFlags {
  std::vector<std::string> tensor_types;
  std::string imatrix;
  bool per_tensor = false;
};
void add_target_flags(CLI::App& app, TargetFlags& flags);
// Reads the importance matrix, where there is one, into `matrix`, which must live as long as the result.
TargetOptions target_options(const ModelType& type, const TargetFlags& flags, ImportanceMatrix& matrix);

}  // namespace margay
