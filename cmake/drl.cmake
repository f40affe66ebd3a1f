# Helpers shared by every directory.

set(DRL_WARNINGS -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla
  -Wwrite-strings -Wno-unknown-pragmas)
if(DRL_WERROR)
  list(APPEND DRL_WARNINGS -Werror)
endif()

# Floating point: contraction to fused multiply-add and unset errno are allowed, reordering is not (no -ffast-math).
set(DRL_FLAGS ${DRL_WARNINGS} -fno-math-errno -ffp-contract=fast -fno-trapping-math)
if(DRL_NATIVE)
  list(APPEND DRL_FLAGS -march=native)
  if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
    list(APPEND DRL_FLAGS -mprefer-vector-width=512) # compilers would use half of AVX-512's vectors
  endif()
endif()

execute_process(COMMAND git -C "${CMAKE_SOURCE_DIR}" describe --always --dirty --abbrev=12
  OUTPUT_VARIABLE DRL_GIT_REVISION OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT DRL_GIT_REVISION)
  set(DRL_GIT_REVISION unknown)
endif()

# Recorded with every result; configured anew after every commit.
set_source_files_properties(lib/results/provenance.c lib/core/cli.c PROPERTIES COMPILE_DEFINITIONS
  DRL_GIT_REVISION="${DRL_GIT_REVISION}")
if(EXISTS "${CMAKE_SOURCE_DIR}/.git/logs/HEAD")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/.git/logs/HEAD")
endif()

function(drl_add_library name)
  add_library(${name} STATIC ${DRL_SOURCES})
  target_include_directories(${name} PUBLIC "$<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/lib/include>"
    "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
  target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}/lib")
  target_include_directories(${name} SYSTEM PRIVATE ${RANDOM123_INCLUDE} ${LBFGS_INCLUDE})
  target_compile_options(${name} PRIVATE ${DRL_FLAGS})
  target_compile_definitions(${name} PRIVATE DRL_VERSION="${PROJECT_VERSION}"
    DRL_SOURCE_DIR="${CMAKE_SOURCE_DIR}" DRL_INSTALL_SHARE="${CMAKE_INSTALL_FULL_DATADIR}/drl")
  target_link_libraries(${name} PUBLIC PkgConfig::OPENBLAS PkgConfig::ARCHIVE PkgConfig::ZLIB PkgConfig::CJSON
    PkgConfig::INIH PkgConfig::SQLITE PkgConfig::CRYPTO PkgConfig::CURL PkgConfig::XXHASH PkgConfig::ZSTD
    PkgConfig::JPEG PkgConfig::PNG ${LBFGS_LIBRARY} Threads::Threads m)
endfunction()

# drl_add_program(name LIB sources...): a program linked with one of the two libraries.
function(drl_add_program name lib)
  add_executable(${name} ${ARGN})
  target_compile_options(${name} PRIVATE ${DRL_FLAGS})
  target_compile_definitions(${name} PRIVATE DRL_VERSION="${PROJECT_VERSION}" DRL_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${lib})
endfunction()

# drl_add_test(name LABEL command...): a CTest test; exit status 77 means skipped. What the suite caches lands in the
# build tree. Under the sanitizers an allocation that is too large fails as it does without them: absurd sizes are among
# the tests.
function(drl_add_test name label)
  add_test(NAME ${name} COMMAND ${ARGN})
  set_tests_properties(${name} PROPERTIES LABELS ${label} SKIP_RETURN_CODE 77
    ENVIRONMENT "XDG_CACHE_HOME=${CMAKE_BINARY_DIR}/cache")
  if(CMAKE_C_FLAGS MATCHES "-fsanitize")
    set_tests_properties(${name} PROPERTIES ENVIRONMENT_MODIFICATION
      "ASAN_OPTIONS=path_list_append:allocator_may_return_null=1;TSAN_OPTIONS=path_list_append:allocator_may_return_null=1")
  endif()
endfunction()

# drl_add_experiment(name program args...): the test experiments.NAME runs the program at the build's scale. It uses all
# processors and takes as long as it takes (CTest's own limit would be 25 minutes). OWN_DATA: at the dataset of its own
# scale files, whatever the build's is.
function(drl_add_experiment name program)
  cmake_parse_arguments(PARSE_ARGV 2 ARG "OWN_DATA" "" "")
  set(dataset)
  if(DRL_DATASET AND NOT ARG_OWN_DATA)
    set(dataset --dataset ${DRL_DATASET})
  endif()
  drl_add_test(experiments.${name} experiments ${program} --scale ${DRL_SCALE} ${dataset} --out ${DRL_OUT}
    ${ARG_UNPARSED_ARGUMENTS})
  set_tests_properties(experiments.${name} PROPERTIES LABELS "experiments;${name}"
    RUN_SERIAL ON TIMEOUT 31536000)
endfunction()
