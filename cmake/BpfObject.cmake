# SPDX-License-Identifier: GPL-2.0-or-later
#
# linkbal_add_bpf(TARGET NAME.bpf.c)
#
# NAME.bpf.c -> NAME.bpf.o (clang) -> NAME.skel.h (bpftool). Who links TARGET may include
# <NAME.skel.h>, in which the object is embedded and called NAME_bpf. Paths are mapped to relative
# ones, so the same source gives the same object in whatever directory it is built.

find_program(LINKBAL_CLANG NAMES clang clang-19 clang-18 clang-17 clang-16 clang-15 clang-14 REQUIRED)
find_program(LINKBAL_LLVM_STRIP
             NAMES llvm-strip llvm-strip-19 llvm-strip-18 llvm-strip-17 llvm-strip-16 llvm-strip-15 llvm-strip-14
             REQUIRED)

# Ubuntu's /usr/sbin/bpftool is a script that refuses to work unless the tools of the very kernel that
# runs are installed; the binary behind it works for any kernel.
function(linkbal_find_bpftool)
    if(LINKBAL_BPFTOOL)
        return()
    endif()
    file(GLOB versioned /usr/lib/linux-tools/*/bpftool /usr/lib/linux-tools-*/bpftool)
    find_program(first NAMES bpftool PATHS /usr/sbin /sbin NO_CACHE)
    foreach(candidate IN LISTS first versioned)
        execute_process(COMMAND ${candidate} version RESULT_VARIABLE status OUTPUT_QUIET ERROR_QUIET)
        if(status EQUAL 0)
            set(LINKBAL_BPFTOOL ${candidate} CACHE FILEPATH "bpftool, which generates the skeletons")
            return()
        endif()
    endforeach()
    message(FATAL_ERROR "no working bpftool: tools/setup installs it")
endfunction()
linkbal_find_bpftool()

function(linkbal_add_bpf target source)
    cmake_path(GET source FILENAME name)
    string(REGEX REPLACE "\\.bpf\\.c$" "" name ${name})
    string(MAKE_C_IDENTIFIER ${name} identifier)
    cmake_path(ABSOLUTE_PATH source NORMALIZE)
    set(directory ${CMAKE_CURRENT_BINARY_DIR}/${target}.skeleton)
    set(unstripped ${directory}/${name}.unstripped.o)
    set(object ${directory}/${name}.bpf.o)
    set(skeleton ${directory}/${name}.skel.h)
    file(MAKE_DIRECTORY ${directory})

    # Only the directory of the architecture has <asm/types.h> where there is multiarch; `-target bpf`
    # does not know it.
    set(includes -I${PROJECT_SOURCE_DIR}/include -I${PROJECT_SOURCE_DIR}/bpf)
    if(CMAKE_LIBRARY_ARCHITECTURE)
        list(APPEND includes -idirafter /usr/include/${CMAKE_LIBRARY_ARCHITECTURE})
    endif()
    add_custom_command(
        OUTPUT ${object}
        COMMAND ${LINKBAL_CLANG} -target bpf -mcpu=v3 -std=gnu11 -g -O2 -Wall -Wextra -Werror ${includes}
                -ffile-prefix-map=${PROJECT_SOURCE_DIR}/= -fdebug-compilation-dir=.
                -MD -MF ${object}.d -MT ${object} -c ${source} -o ${unstripped}
        # DWARF goes; BTF, which the loader and `bpftool map dump` need, stays.
        COMMAND ${LINKBAL_LLVM_STRIP} -g ${unstripped} -o ${object}
        DEPENDS ${source}
        DEPFILE ${object}.d
        COMMENT "Building BPF object ${name}.bpf.o"
        VERBATIM)
    add_custom_command(
        OUTPUT ${skeleton}
        COMMAND sh -c "\"$1\" gen skeleton \"$2\" name \"$3\" > \"$4\"" sh
                ${LINKBAL_BPFTOOL} ${object} ${identifier}_bpf ${skeleton}
        DEPENDS ${object}
        COMMENT "Generating ${name}.skel.h"
        VERBATIM)
    add_custom_target(${target}_skeleton DEPENDS ${skeleton})

    # SYSTEM: the generated text is not held to this project's warnings.
    add_library(${target} INTERFACE)
    add_dependencies(${target} ${target}_skeleton)
    target_include_directories(${target} SYSTEM INTERFACE ${directory})
    target_link_libraries(${target} INTERFACE PkgConfig::libbpf)
endfunction()
