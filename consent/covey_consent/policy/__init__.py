"""What may be processed and why: purposes, ages, transfers, assessments and the controller."""
