# shellcheck shell=bash
# Completion of memioctl's commands, options and regions' names.

_memioctl_regions() {
  local at=()
  if [[ $1 ]]; then at=(--socket "$1"); fi
  # The name is the first column; the first line is the heading.
  memioctl "${at[@]}" list 2>/dev/null | awk 'NR > 1 { print $1 }'
}

_memioctl() {
  local commands="list stat watch create put get shrink rm call handle emit listen sessions metrics"
  local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local command="" socket_path="" words=0 offers="" i
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case ${COMP_WORDS[i]} in
      --socket) socket_path=${COMP_WORDS[++i]} ;;
      --slots | --layout | --lifetime | --shrink-after | --count | --timeout | -o | --output) ((++i)) ;;
      # put has a --version with a number; memioctl by itself has one without.
      --version) [[ ! $command ]] || ((++i)) ;;
      -?*) ;;
      *) if [[ $command ]]; then ((++words)); else command=${COMP_WORDS[i]}; fi ;;
    esac
  done

  COMPREPLY=()
  case $previous in
    --socket | -o | --output) mapfile -t COMPREPLY < <(compgen -f -- "$word") && return ;;
    --layout) mapfile -t COMPREPLY < <(compgen -W "memio64 memio24" -- "$word") && return ;;
    --lifetime) mapfile -t COMPREPLY < <(compgen -W "persistent linger" -- "$word") && return ;;
    --slots | --shrink-after | --count | --timeout) return ;;
    --version) [[ ! $command ]] || return ;;
  esac

  if [[ $word == -* ]]; then
    offers="--socket --json --help"
    case $command in
      "") offers+=" --version" ;;
      create) offers+=" --slots --layout --lifetime --huge-pages --shrink-after" ;;
      put) offers+=" --version --create --stream" ;;
      get) offers+=" --output --stream" ;;
      watch) offers+=" --versions --count" ;;
      call) offers+=" --timeout" ;;
      handle | listen) offers+=" --count" ;;
      metrics) offers+=" --openmetrics" ;;
    esac
  elif [[ ! $command ]]; then
    offers=$commands
  elif [[ $command == put && $words == 1 ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
    return
  elif [[ $command != @(create|sessions|metrics|call|handle|emit|listen) && $words == 0 ]]; then
    offers=$(_memioctl_regions "$socket_path")
  fi
  mapfile -t COMPREPLY < <(compgen -W "$offers" -- "$word")
}
complete -F _memioctl memioctl
