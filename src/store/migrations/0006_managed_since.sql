-- Since when provisioning manages a person, in milliseconds since the Unix epoch; NULL where it does not, or where nobody knows
-- (links written before this column was there).
ALTER TABLE links ADD COLUMN managed_since INTEGER;
