"""Evaluation of recommenders: metrics, references, paired comparisons and figures without privacy."""
