#!/bin/sh
#SBATCH --array=1-16
#SBATCH --cpus-per-task=4
#SBATCH --requeue
WORKERS=16  # as in --array: SLURM_ARRAY_TASK_COUNT is 1 when a single task is submitted again
bothways job work "$1" --worker "$SLURM_ARRAY_TASK_ID/$WORKERS" --threads "$SLURM_CPUS_PER_TASK"
