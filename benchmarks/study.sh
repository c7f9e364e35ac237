#!/usr/bin/env bash
# The study of docs/results.md: 89 variants, five seeds each, half a minute to minutes a training on one core.
#
#   benchmarks/study.sh DATA [OPTION=VALUE …]    # DATA holds MNIST/, emoji/ and camvid/
#
# Finished runs are skipped when it is started again. PART=name runs the parts of that name alone,
# SEEDS=0,1 fewer or other seeds.
set -uo pipefail
cd "$(dirname "$0")/.."
[[ -z ${PART:-} || -f configs/experiment/study/$PART.yaml ]] || {
  echo "PART=$PART: no such part; there are: $(cd configs/experiment/study && echo *.yaml)" >&2
  exit 2
}
data=${1:?give the folder that holds MNIST/, emoji/ and camvid/}
shift
options=("$@")

# sweep PART OVERRIDE…
sweep() {
  local part=$1
  shift
  [[ $part == ${PART:-*} ]] || return 0
  local root=()
  case $part in
    *_mnist) root=("data.root=$data") ;;
    *_emoji) root=("data.root=$data/emoji") ;;
    *_camvid) root=("data.root=$data/camvid") ;;
  esac
  python train.py -m "experiment=study/$part" "seed=${SEEDS:-0,1,2,3,4}" "$@" "${root[@]}" "${options[@]}"
}

# operators WHICH: those that a net can take, as Hydra's choice
operators() {
  python -c "import upzoo; print('upsample=' + ','.join(upzoo.list_operators($1)))"
}
plain=$(operators 'switches=False, guide=False')
switches=$(operators 'guide=False')
some='upsample=bilinear_init,transposed_conv,resize_conv,pixel_shuffle,carafe,dysample'

sweep dcgan_mnist "$plain"
sweep dcgan_mnist upsample=transposed_conv upsample.kernel=3
sweep dcgan_mnist upsample=resize_conv upsample.residual=true
sweep fcn8s_camvid "$some"
sweep fcn8s_camvid upsample=bilinear_init upsample.trainable=true
sweep fcn8s_shapes "$plain"
sweep fcn8s_shapes upsample=bilinear_init upsample.trainable=true
sweep fcn8s_shapes upsample=transposed_conv upsample.kernel=9
sweep fcn8s_shapes upsample=resize_conv upsample.residual=true
sweep unet_shapes 'upsample=glob(*)'
sweep unet_shapes upsample=bilinear_init upsample.trainable=true
sweep unet_shapes upsample=transposed_conv upsample.kernel=3
sweep unet_shapes upsample=resize_conv upsample.residual=true
sweep dcgan_emoji "$plain"
sweep dcgan_emoji upsample=transposed_conv upsample.kernel=3
sweep deconvnet_shapes "$switches"
sweep deconvnet_shapes upsample=transposed_conv upsample.kernel=3
sweep deconvnet_shapes upsample=resize_conv upsample.residual=true
sweep unet_camvid "$some"
sweep unet_camvid upsample=bilinear_init upsample.trainable=true
