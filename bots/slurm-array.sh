#!/bin/bash
# A suite on Slurm: each task of this array does its part of the plan, and none speaks to another.
#
#   sbatch slurm-array.sh
#   sbatch --array=1-40 slurm-array.sh --suite hep-toy --flows logistic,xgboost
#
# A task that is ended, by its time or by preemption, keeps its finished folds: the same command
# again does what is left. `hepml submit slurm` sends this file. CHANGE marks what is yours.

# CHANGE: one task for each part of the plan
#SBATCH --array=1-10
# CHANGE: cores and memory of a task
#SBATCH --cpus-per-task=2
#SBATCH --mem=4G
# CHANGE: time of a task; the bot is told a minute before it is over
#SBATCH --time=04:00:00
#SBATCH --signal=TERM@60
# CHANGE: your partition and account, without the second '#'
##SBATCH --partition=short
##SBATCH --account=physics
#SBATCH --job-name=hepml
#SBATCH --output=hepml-%A-%a.log
#SBATCH --open-mode=append
#SBATCH --requeue

# CHANGE: folders that all nodes see; data are fetched into the cache once for all of them
export HEPML_SPOOL="${HEPML_SPOOL:-$PWD/spool}"
export HEPML_CACHE="${HEPML_CACHE:-$PWD/cache}"

# CHANGE: what to run, and where to publish it (--server, --key-file); arguments come first
if [ $# -eq 0 ]; then
  set -- --suite hep-toy --flows all
fi

# CHANGE: the program, such as (/software/hepml/bin/hepml), or the image:
#   program=(apptainer exec --bind "$PWD" hepml.sif hepml)
#   program=(podman run --rm --read-only --volume "$PWD:$PWD" --workdir "$PWD"
#     --env HEPML_SPOOL --env HEPML_CACHE --entrypoint hepml hepml)
program=("${HEPML_PROGRAM:-hepml}")

exec "${program[@]}" bot run "$@" \
  --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" \
  --n-jobs "${SLURM_CPUS_PER_TASK:-1}"
