"""HopChain ETL: photos in, multi-hop vision-language training data out."""
