# The engine as a static library, for the extension module and for the C++ checks in scripts/.

option(BOTHWAYS_SANITIZE "Build with AddressSanitizer and UndefinedBehaviorSanitizer" OFF)

string(TOLOWER "${CMAKE_SYSTEM_PROCESSOR}" processor)
if(processor MATCHES "x86_64|amd64")
    set(isas plain avx2 avx2vnni avx512 avx512vnni)
elseif(processor MATCHES "aarch64|arm64")
    set(isas plain neon neondot)
else()
    set(isas plain)
endif()
if(MSVC)
    set(flags_avx2 /arch:AVX2)
    set(flags_avx2vnni /arch:AVX2 /D__AVXVNNI__)
    set(flags_avx512 /arch:AVX512)
    set(flags_avx512vnni /arch:AVX512 /D__AVX512VNNI__)
else()
    set(flags_avx2 -mavx2 -mfma)
    set(flags_avx2vnni ${flags_avx2} -mavxvnni)
    set(flags_avx512 ${flags_avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl)
    set(flags_avx512vnni ${flags_avx512} -mavx512vnni)
    set(flags_neondot -march=armv8.2-a+dotprod)
endif()

add_library(bothways_engine STATIC
    attention.cpp batch.cpp block.cpp embedding.cpp encoder.cpp isa.cpp linear.cpp pooling.cpp threads.cpp)
foreach(isa IN LISTS isas)
    target_sources(bothways_engine PRIVATE isa/${isa}.cpp)
    set_source_files_properties(isa/${isa}.cpp PROPERTIES COMPILE_OPTIONS "${flags_${isa}}")
endforeach()
set_target_properties(bothways_engine PROPERTIES POSITION_INDEPENDENT_CODE ON
                      CXX_VISIBILITY_PRESET hidden)
target_link_libraries(bothways_engine PUBLIC Threads::Threads)
if(MSVC)
    target_compile_options(bothways_engine PRIVATE /W4 /O2 /fp:precise)
else()
    # Multiply-adds are written where they are wanted: the compiler must not make its own, or a token's
    # bits would depend on how it was unrolled.
    target_compile_options(bothways_engine PRIVATE -Wall -Wextra -O3 -ffp-contract=off)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        # GCC's own AVX-512 headers read what they call undefined on purpose, and warn of it.
        target_compile_options(bothways_engine PRIVATE -Wno-maybe-uninitialized -Wno-uninitialized)
    endif()
    if(BOTHWAYS_SANITIZE)
        target_compile_options(bothways_engine PUBLIC -g -fsanitize=address,undefined
                               -fno-sanitize-recover=all -fno-omit-frame-pointer)
        target_link_options(bothways_engine PUBLIC -fsanitize=address,undefined)
    endif()
endif()
