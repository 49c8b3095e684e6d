-- The span an execution was submitted in, in the form of W3C Trace Context.
ALTER TABLE ff_exec_core ADD COLUMN trace_parent TEXT;
