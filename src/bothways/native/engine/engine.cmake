# The engine as a static library, for the extension module, the checks and the benchmark.

option(BOTHWAYS_SANITIZE "Build with AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
option(BOTHWAYS_WERROR "Treat warnings as errors: for development, not for users' compilers" OFF)

# Instruction sets: the compiler flags of each, and its primitives as a header in simd/ and a type.
string(TOLOWER "${CMAKE_SYSTEM_PROCESSOR}" processor)
if(processor MATCHES "x86_64|amd64")
    set(isas plain avx2 avx2vnni avx512 avx512vnni)
elseif(processor MATCHES "aarch64|arm64" AND NOT MSVC)
    set(isas plain neon neondot neoni8mm)
else()
    set(isas plain)
endif()
if(MSVC)
    set(flags_avx2 /arch:AVX2)
    set(flags_avx2vnni /arch:AVX2)
    set(flags_avx512 /arch:AVX512)
    set(flags_avx512vnni /arch:AVX512)
else()
    set(flags_avx2 -mavx2 -mfma)
    set(flags_avx2vnni ${flags_avx2} -mavxvnni)
    set(flags_avx512 ${flags_avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl)
    set(flags_avx512vnni ${flags_avx512} -mavx512vnni)
    set(flags_neondot -march=armv8.2-a+dotprod)
    set(flags_neoni8mm -march=armv8.2-a+dotprod+i8mm)
endif()
set(simd_plain plain.h Plain)
set(simd_avx2 avx2.h Avx2)
set(simd_avx2vnni avx2.h Avx2Vnni)
set(simd_avx512 avx512.h Avx512)
set(simd_avx512vnni avx512.h Avx512Vnni)
set(simd_neon neon.h Neon)
set(simd_neondot neon.h NeonDot)
set(simd_neoni8mm neon.h NeonI8mm)

# The options of all C++ in this folder.
function(bothways_compile_options target)
    if(MSVC)
        target_compile_options(${target} PRIVATE /W4 /O2 /fp:precise $<$<BOOL:${BOTHWAYS_WERROR}>:/WX>)
        return()
    endif()
    # Kernels state their fused multiply-adds. If the compiler fused others, a token's bits would depend on
    # how it unrolled a loop.
    target_compile_options(${target} PRIVATE -O3 -ffp-contract=off -Wall -Wextra -Wpedantic
                           $<$<BOOL:${BOTHWAYS_WERROR}>:-Werror>)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        # GCC's AVX-512 headers use uninitialized variables on purpose, and GCC warns of them. It also warns
        # of vector types as template arguments, because their alignment is not part of a mangled name.
        target_compile_options(${target} PRIVATE -Wno-maybe-uninitialized -Wno-uninitialized
                               -Wno-ignored-attributes)
    endif()
    if(BOTHWAYS_SANITIZE)
        target_compile_options(${target} PUBLIC -O1 -g -fsanitize=address,undefined
                               -fno-sanitize-recover=all -fno-omit-frame-pointer)
        target_link_options(${target} PUBLIC -fsanitize=address,undefined)
    endif()
endfunction()

# Compiles `source` once per instruction set into `target`, with the set's flags and with the macros
# BOTHWAYS_ISA (its name), BOTHWAYS_SIMD_HEADER and BOTHWAYS_SIMD. Generates isas.inc, which has X(name) for
# each.
function(bothways_sources_per_isa target source)
    foreach(isa IN LISTS isas)
        list(GET simd_${isa} 0 header)
        list(GET simd_${isa} 1 type)
        string(TOUPPER ${isa} upper)
        add_library(${target}_${isa} OBJECT ${source})
        bothways_compile_options(${target}_${isa})
        target_compile_options(${target}_${isa} PRIVATE ${flags_${isa}})
        target_compile_definitions(${target}_${isa} PRIVATE BOTHWAYS_ISA_${upper} BOTHWAYS_ISA=${isa}
                                   "BOTHWAYS_SIMD_HEADER=\"../simd/${header}\"" BOTHWAYS_SIMD=${type})
        target_sources(${target} PRIVATE $<TARGET_OBJECTS:${target}_${isa}>)
    endforeach()
    list(TRANSFORM isas PREPEND "X(" OUTPUT_VARIABLE lines)
    list(TRANSFORM lines APPEND ")\n")
    list(JOIN lines "" lines)
    file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/isas.inc CONTENT "${lines}")
    target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
endfunction()

set(here ${CMAKE_CURRENT_LIST_DIR})
add_library(bothways_engine STATIC)
foreach(part attention batch block config convolution dispatch distances embedding encoder experts forks linear pooling
             scanner threads)
    target_sources(bothways_engine PRIVATE ${here}/${part}.cpp)
endforeach()
foreach(isa IN LISTS isas)
    target_sources(bothways_engine PRIVATE ${here}/isa/${isa}.cpp)
    set_source_files_properties(${here}/isa/${isa}.cpp PROPERTIES COMPILE_OPTIONS "${flags_${isa}}")
endforeach()
set_target_properties(bothways_engine PROPERTIES POSITION_INDEPENDENT_CODE ON
                      CXX_VISIBILITY_PRESET hidden)
target_link_libraries(bothways_engine PUBLIC Threads::Threads)
bothways_compile_options(bothways_engine)
