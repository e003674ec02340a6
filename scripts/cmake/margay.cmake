# Helpers of the build: packages, instruction sets, warnings, one library per folder.
find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
if(MARGAY_OPS_ONLY)  # fmt's headers are all that it takes
  add_library(fmt_headers INTERFACE)
  target_compile_definitions(fmt_headers INTERFACE FMT_HEADER_ONLY)
  add_library(fmt::fmt ALIAS fmt_headers)
else()
  find_package(PkgConfig REQUIRED)
  find_package(fmt REQUIRED)
  find_package(nlohmann_json REQUIRED)
  find_package(CLI11 REQUIRED)
  pkg_check_modules(pcre2 REQUIRED IMPORTED_TARGET libpcre2-8)
  pkg_check_modules(utf8proc REQUIRED IMPORTED_TARGET libutf8proc)
  pkg_check_modules(zstd REQUIRED IMPORTED_TARGET libzstd)
  pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)
endif()

# The instruction sets that kernels are compiled for, as base/cpu.h names them; their flags are in ops/CMakeLists.txt.
set(MARGAY_ISAS generic)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(APPEND MARGAY_ISAS avx2 avx512 avx512vnni)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64|ARM64")
  list(APPEND MARGAY_ISAS neon neondot neoni8mm)
endif()

add_library(margay_flags INTERFACE)
target_include_directories(margay_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(margay_flags INTERFACE -Wall -Wextra -Wpedantic -Werror -Wno-unknown-pragmas)
if(MARGAY_SANITIZE)
  # At -O1 clang unrolls no loop and says so (pass-failed): there it does not matter.
  target_compile_options(margay_flags INTERFACE -fsanitize=${MARGAY_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g1 -Wno-pass-failed)
  target_link_options(margay_flags INTERFACE -fsanitize=${MARGAY_SANITIZE})
  target_compile_definitions(margay_flags INTERFACE MARGAY_SANITIZED)
endif()

# margay_library(<folder> <libraries...>): every .cpp of the folder that is not compiled once for each instruction set
# (kernels, runtime/peaks.cpp) or a table of cases.
function(margay_library folder)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "^${CMAKE_SOURCE_DIR}/ops/([a-z0-9_]+/)?(cpu|cpu_[a-z0-9_]+|cases)\\.cpp$")
  list(FILTER sources EXCLUDE REGEX "^${CMAKE_SOURCE_DIR}/runtime/peaks\\.cpp$")
  add_library(margay_${folder} STATIC ${sources})
  target_link_libraries(margay_${folder} PUBLIC margay_flags fmt::fmt ${ARGN})
endfunction()
