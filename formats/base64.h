// Base64 as RFC 4648 has it, with padding.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace margay {

std::string base64_encode(std::string_view bytes);
// Nothing when the text is not exactly base64.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace margay
