#include "cli/convert_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/progress.h"
#include "convert/target_type.h"

namespace margay {
namespace {

using Json = nlohmann::ordered_json;

void print_json(const std::string& out, const ConvertReport& report) {
  Json types = Json::array();
  for (const auto& [type, total] : report.types)
    types.push_back({{"type", type_name(type)},
                     {"tensors", total.tensors},
                     {"bytes", total.bytes},
                     {"converted", total.converted},
                     {"rms_error", total.rms_error()},
                     {"relative_error", total.relative_error()}});
  Json errors = Json::array();
  for (const TensorTotal& row : report.rows)
    if (row.from != row.to)
      errors.push_back({{"tensor", row.name},
                        {"from", type_name(row.from)},
                        {"to", type_name(row.to)},
                        {"bytes", row.total.bytes},
                        {"rms_error", row.total.rms_error()},
                        {"relative_error", row.total.relative_error()}});
  const Json result = {{"file", out},
                       {"type", report.type.name},
                       {"tensors", report.tensors},
                       {"fallbacks", report.fallbacks},
                       {"bytes_before", report.bytes_before},
                       {"bytes_after", report.bytes_after},
                       {"seconds", report.seconds},
                       {"notes", report.notes},
                       {"types", types},
                       {"errors", errors}};
  fmt::print("{}\n", result.dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::string bytes_text(uint64_t bytes) { return amount_text(static_cast<double>(bytes), "B"); }

}  // namespace

void print_convert_report(const std::string& out, const ConvertReport& report, bool json, bool per_tensor) {
  if (json) {
    print_json(out, report);
    return;
  }
  fmt::print(
      stderr, "{}: {} tensors, {} from {} ({:.0f} %) in {}\n", out, report.tensors, bytes_text(report.bytes_after),
      bytes_text(report.bytes_before),
      100.0 * static_cast<double>(report.bytes_after) / static_cast<double>(std::max<uint64_t>(report.bytes_before, 1)),
      duration_text(report.seconds));
  if (per_tensor)
    for (const TensorTotal& row : report.rows)
      fmt::print(stderr, "  {:<40} {:<6} -> {:<6} {:>9}  {:.3g} %\n", row.name, type_name(row.from), type_name(row.to),
                 bytes_text(row.total.bytes), 100 * row.total.relative_error());
  for (const auto& [type, total] : report.types) {
    fmt::print(stderr, "  {:<6} {:>4} tensors {:>9}", type_name(type), total.tensors, bytes_text(total.bytes));
    if (total.squared_error > 0)
      fmt::print(stderr, "  root-mean-square error {:.2e}, {:.3g} % of the weights' own", total.rms_error(),
                 100 * total.relative_error());
    fmt::print(stderr, "\n");
  }
  if (report.fallbacks)
    fmt::print(stderr, "  {} tensor{} of another type: the rows are no multiple of the blocks\n", report.fallbacks,
               report.fallbacks == 1 ? " is" : "s are");
  for (const std::string& note : report.notes) fmt::print(stderr, "  note: {}\n", note);
}

const char* const kTypesHelp =
    "Types and bits a weight: f32, f16 and bf16 (16), q8_0 (8.5), q6_k (6.6), q5_k_m (5.7), q5_k_s (5.5), q5_1 (6),\n"
    "q5_0 (5.5), q4_k_m (4.8), q4_k_s (4.6), q4_1 (5), q4_0 (4.5), iq4_nl (4.5), iq4_xs (4.3), q3_k_l (4.3),\n"
    "q3_k_m (3.9), q3_k_s (3.5), q2_k (2.9). K types and IQ4 are llama.cpp's mixes: some tensors get more bits.\n"
    "Vectors (norms), feature maps and RoPE factors stay F32 whatever the type; the output head is Q6_K (Q8_0 under\n"
    "q8_0, and where its rows are no multiple of 256).\n"
    "Matrices whose rows are no multiple of a type's 256 or 32 fall back: q4_k to Q5_0, q5_k to Q5_1, q6_k to Q8_0,\n"
    "q2_k, q3_k and iq4_xs to IQ4_NL, and to F16 where they are no multiple of 32.\n\n";

std::string check_type_name(const std::string& name) {
  try {
    target_type(name);
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

void add_target_flags(CLI::App& app, TargetFlags& flags) {
  app.add_option("--tensor-type", flags.tensor_types,
                 "type of the tensors whose names match, whatever the others get: a glob, as in\n"
                 "'*.ffn_down.weight=q6_k'; may be given more than once, the last match counts")
      ->type_name("PATTERN=TYPE")
      ->allow_extra_args(false)
      ->check([](const std::string& text) -> std::string {
        try {
          parse_tensor_type(text);
        } catch (const Error& error) {
          return error.what();
        }
        return {};
      });
  app.add_option("--imatrix", flags.imatrix,
                 "importance matrix that weighs the errors: of margay imatrix, or llama.cpp's (.gguf or .dat)")
      ->type_name("FILE");
  app.add_flag("--per-tensor", flags.per_tensor, "tell the error of every tensor (--json always does)");
}

TargetOptions target_options(const ModelType& type, const TargetFlags& flags, ImportanceMatrix& matrix) {
  TargetOptions options(type);
  for (const std::string& text : flags.tensor_types) options.overrides.push_back(parse_tensor_type(text));
  if (!flags.imatrix.empty()) {
    matrix = read_importance_matrix(flags.imatrix);
    options.importance = &matrix;
  }
  return options;
}

}  // namespace margay
